"""Outcome and costs of the demo in the docs: what the home says, and nothing chosen."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import results
from benchmarks.chaos.home import Home
from benchmarks.tables import filled
from curec_assets.definitions import default_resources
from curec_assets.reports.outcome import findings

_SHOWN = [page.read_text(encoding="utf-8") for page in results.PAGES]


def change_costs(home: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = home / "costs.json"
    costs = json.loads(path.read_text(encoding="utf-8"))
    change(costs)
    path.write_text(json.dumps(costs), encoding="utf-8")


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Copies of the pages, which the command renews."""
    copies = [tmp_path / page.name for page in results.PAGES]
    for copy, text in zip(copies, _SHOWN, strict=True):
        copy.write_text(text, encoding="utf-8")
    monkeypatch.setattr(results, "PAGES", copies)
    return copies


def test_the_pages_say_what_the_home_says(
    filled_home: Home, pages: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = filled_home.path
    change_costs(home, lambda costs: costs.update(profile="laptop"))
    monkeypatch.setattr("sys.argv", ["results", "--home", str(home)])
    results.main()
    resources = default_resources("smoke", home)
    made = [page.read_text(encoding="utf-8") for page in pages]
    for section in findings(resources["warehouse"], resources["model_store"]).values():
        assert section in made[0]
    spent = json.loads((home / "costs.json").read_text(encoding="utf-8"))["assets"]
    rows = {name: int(seconds) for name, seconds in re.findall(r"\| `(\w+)` \| (\d+) ", made[0])}
    assert set(rows) < set(spent)
    assert all(round(spent[name]["work_seconds"]) == seconds for name, seconds in rows.items())
    for before, after in zip(_SHOWN, made, strict=True):
        assert before != after
        assert filled(before, str) == filled(after, str), "what is around the blocks stays"
    results.main()
    assert [page.read_text(encoding="utf-8") for page in pages] == made


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ({}, "is of profile 'smoke', expected 'laptop'"),
        ({"profile": "laptop", "whole": None}, "not of one run that made every asset"),
    ],
)
def test_another_home_is_refused(
    filled_home: Home,
    pages: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    costs: dict[str, Any],
    said: str,
) -> None:
    change_costs(filled_home.path, lambda found: found.update(costs))
    monkeypatch.setattr("sys.argv", ["results", "--home", str(filled_home.path)])
    with pytest.raises(SystemExit, match=said):
        results.main()
    assert [page.read_text(encoding="utf-8") for page in pages] == _SHOWN


def test_a_home_that_no_demo_filled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"costs\.json is missing; run `make demo`"):
        results.costs_of(tmp_path)


def test_the_readme_and_the_results_are_of_one_run() -> None:
    excerpt = re.search(r"excerpt -->\n```text\n(.+?)```", _SHOWN[1], re.DOTALL)
    assert excerpt
    assert set(excerpt[1].splitlines()) - {""} <= set(_SHOWN[0].splitlines())
