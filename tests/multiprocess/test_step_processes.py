"""A real run by the multiprocess executor: one process per step, one DuckDB file, pools."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import dagster as dg
import pytest

from curec_assets.definitions import KEPT, build_definitions
from resources.storage.private import open_to_others

pytestmark = [pytest.mark.multiprocess, pytest.mark.timeout(900)]

LAST = '+key:"reward_model"'  # enough steps in both pools; e2e makes everything
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Step:
    """When a step held its pool, and in which process."""

    key: str
    pool: str
    process: str
    start: float
    end: float

    def overlaps(self, other: "Step") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Execution:
    """One run, up to the readers, read back from the instance that the UI would show."""

    instance: dg.DagsterInstance
    run: dg.DagsterRun
    steps: list[Step]
    open_to_others: list[Path]
    """What of the home other users may read, once the run has ended."""


def execute(home: Path, environment: dict[str, str]) -> None:
    command = "dagster asset materialize --module-name curec_assets.definitions --select"
    done = subprocess.run(
        [sys.executable, "-m", *command.split(), LAST],
        env={**environment, "CUREC_PROFILE": "smoke", "CUREC_HOME": str(home)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        umask=0o022,
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def execution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Execution]:
    home = tmp_path_factory.mktemp("multiprocess")
    dagster_home = home / "dagster"
    dagster_home.mkdir()
    shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", dagster_home)
    home.chmod(0o755)
    execute(home, {**os.environ, "DAGSTER_HOME": str(dagster_home)})
    readable = list(open_to_others(home, KEPT))
    definitions = build_definitions(profile="smoke", home=home)
    assets = definitions.resolve_asset_graph()
    pools = {
        key.to_user_string(): next(iter(assets.get(key).pools), "")
        for key in assets.get_all_asset_keys()
    }
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        [run] = instance.get_runs()
        yield Execution(instance, run, steps_of(instance, run, pools), readable)


def steps_of(instance: dg.DagsterInstance, run: dg.DagsterRun, pools: dict[str, str]) -> list[Step]:
    starts: dict[str, float] = {}
    processes: dict[str, str] = {}
    steps = []
    for entry in instance.all_logs(run.run_id):
        event, key = entry.dagster_event, entry.step_key
        if event is None or key is None:
            continue
        if event.event_type == dg.DagsterEventType.STEP_WORKER_STARTED:
            processes[key] = str(event.engine_event_data.metadata["pid"].value)
        elif event.event_type == dg.DagsterEventType.STEP_START:
            starts[key] = entry.timestamp
        elif event.event_type == dg.DagsterEventType.STEP_SUCCESS:
            pool = pools.get(key, "")
            steps.append(Step(key, pool, processes[key], starts[key], entry.timestamp))
    return steps


def test_nothing_of_the_home_is_open_to_other_users(execution: Execution) -> None:
    assert execution.open_to_others == []


def test_what_was_asked_for_is_made(execution: Execution) -> None:
    assert execution.run.status == dg.DagsterRunStatus.SUCCESS
    made = {step.key for step in execution.steps}
    assert {"events", "histories", "aligned_llm", "reward_model"} <= made


def test_every_step_has_a_process_of_its_own(execution: Execution) -> None:
    processes = {step.process for step in execution.steps}
    assert len(processes) == len(execution.steps)


@pytest.mark.parametrize("pool", ["gpu", "warehouse"])
def test_one_step_at_a_time_in_a_pool(execution: Execution, pool: str) -> None:
    steps = [step for step in execution.steps if step.pool == pool]
    assert len(steps) > 2
    together = [(a.key, b.key) for a, b in combinations(steps, 2) if a.overlaps(b)]
    assert together == []


def test_no_pool_slot_is_left_taken(execution: Execution) -> None:
    storage = execution.instance.event_log_storage
    for pool in ("gpu", "warehouse"):
        info = storage.get_concurrency_info(pool)
        assert info.active_slot_count == 0
        assert info.pending_step_count == 0
