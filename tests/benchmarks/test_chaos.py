"""The chaos run: its plan, what it counts as held, how it ends, and the page that shows it."""

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import islice
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.chaos.__main__ import BY_STEP, records
from benchmarks.chaos.filling import Filled
from benchmarks.chaos.plan import FAULTS, plans
from benchmarks.harness import read_records
from benchmarks.tables import OF_OPERATION, OPERATION_PAGE, rendered


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(0, 30))
def test_kills_are_spread_and_a_home_goes_forward(seed: int, count: int, homes: int) -> None:
    steps = [f"step {number}" for number in range(count)]
    planned = list(islice(plans(seed, steps), homes))
    assert planned == list(islice(plans(seed, steps), homes))
    for kills in planned:
        positions = [steps.index(kill.target) for kill in kills]
        assert positions == sorted(positions)
        assert {"step", "parent"}.isdisjoint(kill.fault for kill in kills[:-1])
        assert all(kill.fault in FAULTS and 0 <= kill.share < 1 for kill in kills)
    aimed = Counter(kill.target for kills in planned for kill in kills)
    assert max(aimed.values(), default=0) - min(map(aimed.__getitem__, steps)) <= 1


def test_a_kill_held_when_its_home_ended_as_it_should() -> None:
    def kill(fault: str, *hit: str) -> dict[str, object]:
        return {"fault": fault, "target": "a", "share": 0.5, "hit": hit}

    good = Filled([kill("step", "a"), kill("group", "b")], [], 7.0)
    bad = Filled([kill("group", "b", "c"), kill("group")], ["a pool slot is held"], 130.0)
    found = records([good, bad])
    shown = {
        record.name.partition(":")[0]: (record.value, record.unit, record.holds) for record in found
    }
    assert shown == {
        "step": (1, "of 1", True),
        "group": (1, "of 3", False),
        "longest time without a sign of life": (130, "s", False),
        "kills in a": (1, "of 4", None),
        "kills in b": (2, "of 4", None),
        "kills in c": (1, "of 4", None),
        "kills between steps": (1, "of 4", None),
    }
    assert {record.command for record in found} == {"make chaos", BY_STEP}


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_with_all_that_it_started(
    told: signal.Signals, _undisturbed_folder: Path, undisturbed_run: object, tmp_path: Path
) -> None:
    shutil.copy(_undisturbed_folder / "undisturbed.json", tmp_path)
    figures = tmp_path / "chaos.json"
    options = ["--jobs", "2", "--work", str(tmp_path), "--figures", str(figures)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.chaos", *options],
        # As in the background of a shell, which has SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    started: list[psutil.Process] = []
    try:
        while len(started) < 2:
            assert process.poll() is None
            time.sleep(0.1)
            started = psutil.Process(process.pid).children()
        process.send_signal(told)
        # A home takes minutes; some seconds are what two busy cores may need.
        assert process.wait(timeout=20) == 128 + told
        assert psutil.wait_procs(started, timeout=20)[1] == []
    finally:
        for each in (process, *started):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
    assert not (tmp_path / "homes.jsonl").exists() and not figures.exists()


def test_the_committed_page_says_what_the_committed_figures_say() -> None:
    page = OPERATION_PAGE.read_text(encoding="utf-8")
    measured = [record for file in OF_OPERATION if file.exists() for record in read_records(file)]
    assert rendered(page, measured) == page
