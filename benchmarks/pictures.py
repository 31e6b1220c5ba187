"""`make pictures`: the pictures of the explorer in docs/images, from the home of `make demo`.

Serves the explorer, opens it in headless Chromium (Debian's chromium and chromium-driver), and
takes each page as it is.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT

_IMAGES = ROOT / "docs" / "images"
_SIZE = (1300, 1500)
_PAGES = {
    "People": "Recommended",
    "Items": "Reasons about it",
    "Quality": "mean reward",
    "Compare": "texts that are the same",
}
"""Page → what it says when it is there."""
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
_TAB = """
const name = arguments[0];
(function look(root) {
  for (const each of root.querySelectorAll("*")) {
    if (each.matches("[role=tab]") && each.textContent.trim() === name) {
      each.dispatchEvent(new MouseEvent("mousedown", {bubbles: true, button: 0}));
    }
    if (each.shadowRoot) look(each.shadowRoot);
  }
})(document);
"""


def main() -> None:
    """One file a page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--home", type=Path, default=Path(os.environ.get("CUREC_HOME", ".curec")))
    home = options.parse_args().home.resolve()
    with (
        tempfile.TemporaryDirectory(prefix="curec-pictures-") as folder,
        _served(home, Path(folder)) as address,
        _browser(Path(folder)) as window,
    ):
        window.get(address)
        for page, said in _PAGES.items():
            _wait_for(window, page)
            window.execute_script(_TAB, page)
            _wait_for(window, said)
            time.sleep(2)  # charts are drawn after the text
            file = _IMAGES / f"explorer-{page.lower()}.png"
            window.save_screenshot(str(file))
            _smaller(file)
            print(file.relative_to(ROOT))


@contextlib.contextmanager
def _served(home: Path, folder: Path) -> Iterator[str]:
    log = folder / "explore.log"
    command = [sys.executable, "-m", "curec_assets.cli", "explore", "--port", "0"]
    environment = {**os.environ, "CUREC_HOME": str(home)}
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=stream) as process,
    ):
        try:
            _wait(lambda: "running on" in log.read_text("utf-8"))
            [address] = re.findall(r"http://127\.0\.0\.1:\d+", log.read_text("utf-8"))
            yield address
        finally:
            process.terminate()


@contextlib.contextmanager
def _browser(folder: Path) -> Iterator[Any]:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):  # Selenium would look for them elsewhere
        raise SystemExit("install Debian's chromium and chromium-driver first")
    options = ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={folder / 'chromium'}"):
        options.add_argument(flag)
    options.add_argument(f"--window-size={','.join(map(str, _SIZE))}")
    with Chrome(options=options, service=Service(driver)) as window:
        yield window


def _wait_for(window: Any, text: str) -> None:
    _wait(lambda: text in window.find_element("tag name", "body").text)


def _wait(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit("the page did not come; see `curec explore`")
        time.sleep(0.1)


def _smaller(file: Path) -> None:
    """In 64 colours: a fifth of the bytes."""
    from PIL import Image

    with Image.open(file) as image:
        smaller = image.convert("RGB").quantize(64)
    smaller.save(file, optimize=True)


if __name__ == "__main__":
    main()
