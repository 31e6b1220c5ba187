"""The explorer of a home in a headless Chromium (Debian's chromium and chromium-driver)."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
_SIZE = (1300, 1500)
PAGES = {
    "People": "Recommended",
    "Items": "Reasons about it",
    "Quality": "mean reward",
    "Compare": "texts that are the same",
    "Lineage": "Every asset as it is stored",
}
"""Page of the explorer → what it says when it is there; the first is there at once."""
OPEN_PAGE = """
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
"""Script that goes to the page of the explorer with this name."""


@contextlib.contextmanager
def served(home: Path, folder: Path) -> Iterator[str]:
    """The address of a `curec explore` of its own; `folder`: for its log."""
    log = folder / "explore.log"
    command = [sys.executable, "-m", "curec_assets.cli", "explore", "--port", "0"]
    environment = {**os.environ, "CUREC_HOME": str(home)}
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=stream) as process,
    ):
        try:
            wait(lambda: "running on" in log.read_text("utf-8"))
            [address] = re.findall(r"http://127\.0\.0\.1:\d+", log.read_text("utf-8"))
            yield address
        finally:
            process.terminate()


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Any]:
    """A window of a browser that was never used before; `folder`: for what it keeps."""
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


def wait(ready: Callable[[], object], seconds: float = 60.0) -> None:
    """Until it is ready. Raises `SystemExit` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit("the page did not come; see `curec explore`")
        time.sleep(0.1)
