"""The code version: found from the code, blind to wording, and known to whom it concerns."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
_PROGRAM = (
    "import json; from curec_assets.definitions import recipes;"
    "print(json.dumps({recipe.name: recipe.code for recipe in recipes()}))"
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two packages, to be edited."""
    folder = tmp_path_factory.mktemp("copy")
    for package in ("curec_assets", "resources"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, folder / package, ignore=ignored)
    return folder


def codes(folder: Path) -> dict[str, dict[str, str]]:
    """Asset → file → digest, from a fresh process on that copy."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def before(copy: Path) -> dict[str, dict[str, str]]:
    return codes(copy)


@pytest.fixture
def edited(copy: Path) -> object:
    """Edits a file for the length of one test."""
    kept: list[tuple[Path, str]] = []

    def edit(file: str, old: str, new: str) -> dict[str, dict[str, str]]:
        path = copy / file
        text = path.read_text(encoding="utf-8")
        kept.append((path, text))
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return codes(copy)

    yield edit
    for path, text in kept:
        path.write_text(text, encoding="utf-8")


Edit = Callable[[str, str, str], dict[str, dict[str, str]]]


def changed(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_a_prompt_text_concerns_exactly_who_writes_reasons(
    before: dict[str, dict[str, str]], edited: Edit
) -> None:
    file = "curec_assets/explanation/prompts.py"
    after = edited(file, "Cite facts, judge, explain.", "Judge.")
    below = {"alignment_corpus", "draft_reasons", "reason_policy"}
    written = {"generated_reasons", "live_reasons", "recommendations"}
    assert changed(before, after) == below | written
    for name in below:
        assert {f for f in before[name] if before[name][f] != after[name][f]} == {file}


def test_a_constant_concerns_who_uses_it(before: dict[str, dict[str, str]], edited: Edit) -> None:
    after = edited("curec_assets/recommender/training.py", "_BATCH = 4096", "_BATCH = 2048")
    assert changed(before, after) == {"recommender", "recommendations"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (
            "explanation/prompts.py",
            '"""Task *verdict*: the chain of thought',
            '"""Another docstring',
        ),
        ("explanation/prompts.py", "lines = [task]", "lines = [  # a comment\n        task\n    ]"),
        ("settings/sections/policy.py", "Optimiser steps.", "Steps of the optimiser."),
        ("reward/assets.py", '"""How many are grounded', '"""How many of them are grounded'),
        ("display/charts.py", "_DPI = 100", "_DPI = 90"),
    ],
)
def test_wording_and_looks_concern_nobody(
    before: dict[str, dict[str, str]], edited: Edit, file: str, old: str, new: str
) -> None:
    assert changed(before, edited(f"curec_assets/{file}", old, new)) <= {"quality_report"}
