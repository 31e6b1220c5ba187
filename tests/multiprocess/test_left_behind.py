"""Killed processes and signals: no run stays started, no pool slot stays taken, nothing hangs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import UUID

import dagster as dg
import pytest

from curec_assets.automation.run_launcher import ended_runs_with_slots, fail_dead_runs

pytestmark = [pytest.mark.multiprocess, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).parents[2]
HOLDS_THE_WAREHOUSE = """
import time
import dagster as dg

@dg.op(pool="warehouse")
def wait():
    print("holds", flush=True)
    time.sleep(600)

@dg.job
def holding():
    wait()

with dg.DagsterInstance.get() as instance:
    holding.execute_in_process(instance=instance)
"""


@dg.job
def holding() -> None:
    pass


class Home:
    """A CURec home with the instance settings that `make setup` gives it."""

    def __init__(self, folder: Path) -> None:
        self.dagster = folder / "dagster"
        self.dagster.mkdir()
        shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", self.dagster)
        self.environment = {
            **os.environ,
            "DAGSTER_HOME": str(self.dagster),
            "CUREC_HOME": str(folder),
            "CUREC_PROFILE": "smoke",
        }

    @contextmanager
    def process(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        with subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environment,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def demo(self) -> AbstractContextManager["subprocess.Popen[str]"]:
        return self.process("-m", "curec_assets.cli", "demo")

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(str(self.dagster)) as instance:
            yield instance

    def statuses(self) -> list[tuple[str, str]]:
        """(job, status) of every run, the first one first."""
        with self.instance() as instance:
            runs = reversed(instance.get_runs())
            return [(run.job_name, run.status.value) for run in runs]

    def slots(self) -> int:
        with self.instance() as instance:
            return instance.event_log_storage.get_concurrency_info("warehouse").active_slot_count


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    said = ""
    for line in process.stdout or ():
        said += line
        if words in line:
            return said
    pytest.fail(f"it ended before it said {words!r}:\n{said}")


def ended(process: "subprocess.Popen[str]", by: signal.Signals) -> str:
    """Send a signal; what is said until the end, within 10 s even beside other tests."""
    sent = time.monotonic()
    process.send_signal(by)
    rest, _ = process.communicate(timeout=30)
    assert time.monotonic() - sent < 10
    assert process.returncode == 128 + by
    return rest


def test_a_run_whose_process_was_killed_holds_nothing_up(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.process("-c", HOLDS_THE_WAREHOUSE) as holder:
        read_until(holder, "holds")
        with home.demo() as demo:
            read_until(demo, "events waits for pool 'warehouse'")
            assert "ended by SIGTERM" in ended(demo, signal.SIGTERM)
        with home.instance() as instance:
            assert list(fail_dead_runs(instance)) == []  # it lives
        assert home.statuses() == [("holding", "STARTED"), ("everything", "CANCELED")]
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert home.statuses()[0] == ("holding", "STARTED")
    assert home.slots() == 1

    with home.demo() as demo:
        assert "(holding) was left behind" in read_until(demo, "[ 1/")
        assert "the same command goes on" in ended(demo, signal.SIGINT)
    assert [status for _, status in home.statuses()] == ["FAILURE", "CANCELED", "CANCELED"]
    with home.instance() as instance:
        assert list(fail_dead_runs(instance)) == []
    assert home.slots() == 0


@pytest.mark.fault("an ended run holds a slot of a pool, or waits for one", tried=2)
def test_no_slot_is_kept_for_a_run_that_has_ended(tmp_path: Path) -> None:
    """Ctrl-C ends a run whose thread may ask for one more slot before the process is gone."""
    home = Home(tmp_path)
    with home.instance() as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots("warehouse", 1)
        holds, waits, next_one = (
            instance.create_run_for_job(holding, run_id=str(UUID(int=n))) for n in range(3)
        )
        assert storage.claim_concurrency_slot("warehouse", holds.run_id, "a").is_claimed
        assert not storage.claim_concurrency_slot("warehouse", waits.run_id, "b").is_claimed
        for run in (holds, waits):
            instance.report_run_canceled(run)
        assert ended_runs_with_slots(instance) == [holds.run_id, waits.run_id]
        storage.free_concurrency_slots_for_run(holds.run_id)  # it is given to the one that waits
        assert not storage.claim_concurrency_slot("warehouse", next_one.run_id, "c").is_claimed
        assert list(fail_dead_runs(instance)) == []
        assert ended_runs_with_slots(instance) == []
        assert storage.claim_concurrency_slot("warehouse", next_one.run_id, "c").is_claimed
