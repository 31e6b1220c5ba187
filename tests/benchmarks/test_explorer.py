"""The stop-watch of the explorer's pages: it sees each of them, in a real browser."""

from pathlib import Path

import pytest

from benchmarks.browsing import served
from benchmarks.chaos.home import Home
from benchmarks.explorer import visited


@pytest.mark.e2e
def test_each_page_is_seen_to_come(filled_home: Home, tmp_path: Path) -> None:
    with served(filled_home.path, tmp_path) as address:
        seconds = visited(address, tmp_path)
    assert list(seconds) == [
        "People",
        "People, with its chart",
        "Items",
        "Quality",
        "Quality, with its chart",
        "Compare",
        "Lineage",
    ]
    assert all(0 < taken < 60 for taken in seconds.values())
    assert seconds["People"] <= seconds["People, with its chart"]
