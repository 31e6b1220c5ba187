"""`make pictures`: the pictures of the explorer in docs/images, from the home of `make demo`.

Serves the explorer, opens it in headless Chromium (Debian's chromium and chromium-driver), and
takes each page as it is.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.browsing import OPEN_PAGE, PAGES, browser, served, wait
from benchmarks.harness import ROOT

_IMAGES = ROOT / "docs" / "images"
_PICTURED = ("People", "Items", "Quality", "Compare")


def main() -> None:
    """One file a page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--home", type=Path, default=Path(os.environ.get("CUREC_HOME", ".curec")))
    home = options.parse_args().home.resolve()
    with (
        tempfile.TemporaryDirectory(prefix="curec-pictures-") as folder,
        served(home, Path(folder)) as address,
        browser(Path(folder)) as window,
    ):
        window.get(address)
        for page in _PICTURED:
            _wait_for(window, page)
            window.execute_script(OPEN_PAGE, page)
            _wait_for(window, PAGES[page])
            time.sleep(2)  # charts are drawn after the text
            file = _IMAGES / f"explorer-{page.lower()}.png"
            window.save_screenshot(str(file))
            _smaller(file)
            print(file.relative_to(ROOT))


def _wait_for(window: Any, text: str) -> None:
    wait(lambda: text in window.find_element("tag name", "body").text)


def _smaller(file: Path) -> None:
    """In 64 colours: a fifth of the bytes."""
    from PIL import Image

    with Image.open(file) as image:
        smaller = image.convert("RGB").quantize(64)
    smaller.save(file, optimize=True)


if __name__ == "__main__":
    main()
