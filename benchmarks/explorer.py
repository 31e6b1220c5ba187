"""How long the explorer's pages take to come, on the home that `make demo` filled.

`make bench-speed-explorer`. Some servers, one after the other, each visited by new browsers. The
page itself looks for its text and its chart, 20 times a second: a driver that asks from outside
takes a good part of the cores that it measures.
"""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.browsing import OPEN_PAGE, PAGES, browser, served, wait
from benchmarks.harness import Record, Spread, parser
from benchmarks.tables import publish

COMMAND = "make bench-speed-explorer"
_FIRST = next(iter(PAGES))
_WITH_CHARTS = (_FIRST, "Quality")
_VISITS = 3
_LOOK = """
window.lookFor = (text, since = performance.now()) => {
  window.text = window.chart = undefined;
  const inside = (root) =>
    [...root.querySelectorAll("*")].map((each) => each.shadowRoot).filter((each) => each);
  const written = (root) => {
    const words = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (words.nextNode()) {
      const at = words.currentNode;
      if (at.data.includes(text) && at.parentElement && at.parentElement.checkVisibility()) {
        return true;
      }
    }
    return inside(root).some(written);
  };
  const drawn = (root) =>
    [...root.querySelectorAll(".marks, [aria-label^='What was met']")].some(
      (each) => each.checkVisibility(),
    ) || inside(root).some(drawn);
  clearInterval(window.looking);
  window.looking = setInterval(() => {
    const taken = performance.now() - since;
    if (document.body && !window.text && written(document.body)) window.text = taken;
    if (window.text && !window.chart && drawn(document.body)) window.chart = taken;
  }, 50);
};
"""


def main() -> None:
    """Publish what was measured: of each page the slowest visit, and the range."""
    chosen = parser(__doc__).parse_args()
    taken: dict[str, list[float]] = {}
    for _ in range(chosen.count):
        with (
            tempfile.TemporaryDirectory(prefix="curec-explorer-") as folder,
            served(chosen.home.resolve(), Path(folder)) as address,
        ):
            for visit in range(_VISITS):
                for name, seconds in visited(address, Path(folder) / str(visit)).items():
                    when = (
                        "" if not name.startswith(_FIRST) else ", later" if visit else ", at first"
                    )
                    taken.setdefault(name + when, []).append(seconds)
    publish(
        [
            Record.of(
                name,
                Spread(max(seconds), min(seconds), max(seconds)),
                f"s, slowest of {len(seconds)}",
                COMMAND,
                "<= 2",
            )
            for name, seconds in taken.items()
        ],
        chosen.figures,
    )


def visited(address: str, folder: Path) -> dict[str, float]:
    """Seconds until each page, and its chart, is there in a new browser."""
    seconds = {}
    with browser(folder) as window:
        look = {"source": f"{_LOOK} window.lookFor({PAGES[_FIRST]!r}, 0);"}
        window.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", look)
        window.get(address)
        for page, said in PAGES.items():
            if page != _FIRST:
                window.execute_script(f"window.lookFor({said!r}); {OPEN_PAGE}", page)
            seconds[page] = _seconds(window, "text")
            if page in _WITH_CHARTS:
                seconds[f"{page}, with its chart"] = _seconds(window, "chart")
    return seconds


def _seconds(window: Any, what: str) -> float:
    wait(lambda: window.execute_script(f"return window.{what}"))
    return float(window.execute_script(f"return window.{what}")) / 1000


if __name__ == "__main__":
    main()
