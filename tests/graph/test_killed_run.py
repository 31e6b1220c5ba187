"""Runs that are killed, in the middle of generation or anywhere, go on to the same content."""

from pathlib import Path
from random import Random

import pytest

from benchmarks.chaos.filling import fill
from benchmarks.chaos.home import Home, Undisturbed
from benchmarks.chaos.plan import Kill
from curec_assets.definitions import KEPT
from resources.storage.private import open_to_others

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]


@pytest.mark.fault("SIGKILL or Ctrl-C anywhere in a run", tried=10)
@pytest.mark.timeout(900)
def test_ten_kills_anywhere_end_in_the_same_content(
    tmp_path: Path, undisturbed_run: Undisturbed
) -> None:
    reference = undisturbed_run
    random = Random(20260101)
    steps = list(reference.seconds)
    faults = [*random.choices(["process", "group", "interrupt"], k=9), "parent"]
    assert "interrupt" in faults
    walk = "generated_reasons"  # among them in any case: it is the longest
    targets = [walk, *random.sample([step for step in steps if step != walk], 9)]
    kills = [
        Kill(fault, step, random.random())
        for fault, step in zip(faults, sorted(targets, key=steps.index), strict=True)
    ]
    filled = fill(Home.make(tmp_path / "killed"), kills, reference)
    assert filled is not None
    assert filled.problems == [], (tmp_path / "killed.log").read_text()[-4000:]
    # A step may be over before it can be killed.
    assert len(filled.kills) >= len(kills) - 2, filled.kills
    assert len({step for kill in filled.kills for step in kill["hit"]}) >= 5, filled.kills

    home = Home(tmp_path / "killed")
    with home.instance() as instance:
        assert {run.tags["curec/why"] for run in instance.get_runs()} == {"curec demo"}

    made = [pattern for pattern in KEPT if pattern != "dagster"]  # there this process looks, too
    assert list(open_to_others(home.path, made)) == []

    # The judge can say no.
    journal, *_ = home.path.rglob("completions.jsonl")
    with journal.open("ab") as file:
        file.write(journal.read_bytes().splitlines(keepends=True)[0])
    home.path.joinpath("models", "reward_model", ".f.work").mkdir()
    assert reference.differences(home) == [
        "models/reward_model/.f.work is left",
        "1 completions were written twice",
    ]
