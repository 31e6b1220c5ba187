"""Runs whose process is gone: found, failed and freed, so that nothing waits for them for ever.

Dagster's own launcher starts a run in a process of the code server, and only that server notices
when the process dies. After a power cut, or a SIGKILL of `dagster dev`, nobody does: the run stays
STARTED and keeps its pool slots. `LocalRunLauncher` can be asked, by Dagster's run monitoring
(every half minute, see deploy/dagster.yaml) and by `curec demo` before it starts. For homes on one
machine, as all of CURec's are.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

import dagster as dg
import psutil
from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)
from dagster._serdes import ConfigurableClassData

from curec_assets.automation.old_runs import KEPT, drop_old_runs

_SECONDS_TO_SAY_WHERE = 60.0
"""A run that has not said its process by then never will."""
_CLOCK = 1.0  # seconds by which a process may seem to begin after what it wrote


class LocalRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, which also knows whether a run's process is alive.

    Before a run it drops old ones from Dagster's records (`old_runs`).
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None, kept_runs: int = KEPT):
        super().__init__(inst_data)
        self.kept_runs = kept_runs

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """`kept_runs`."""
        return {"kept_runs": dg.Field(int, default_value=KEPT, is_required=False)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        """As deploy/dagster.yaml says."""
        return cls(inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start its process."""
        drop_old_runs(self._instance, self.kept_runs)
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Asks Dagster's run monitoring to look."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """RUNNING while the process that wrote the run's first events lives."""
        started, process = _where(self._instance, run.run_id)
        if process is None:
            if abs(time.time() - started) < _SECONDS_TO_SAY_WHERE:  # a clock may be set back
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "it never said its process")
        if _lives(process, since=started):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"its process {process} is gone: killed, or the machine stopped"
        )


def fail_dead_runs(instance: dg.DagsterInstance) -> Iterator[str]:
    """Fail every started run whose process is gone, and free its pool slots; says what was done.

    Does nothing where another launcher is configured: it may run on other machines.
    """
    for run, why in dead_runs(instance):
        instance.report_run_failed(run, f"The run was left behind: {why}.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        yield f"run {run.run_id} ({run.job_name}) was left behind, {why}; it is failed now"
    if isinstance(instance.run_launcher, LocalRunLauncher):
        for run_id in ended_runs_with_slots(instance):
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def dead_runs(instance: dg.DagsterInstance) -> Iterator[tuple[dg.DagsterRun, str]]:
    """Started runs whose process is gone, and what became of it; none of another launcher's."""
    launcher = instance.run_launcher
    if not isinstance(launcher, LocalRunLauncher):
        return
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    for run in instance.get_runs(started):
        health = launcher.check_run_worker_health(run)
        if health.status != WorkerStatus.RUNNING:
            yield run, health.msg or "nobody knows where it is"


def ended_runs_with_slots(instance: dg.DagsterInstance) -> list[str]:
    """Ids of runs that have ended, or are deleted, and still hold a slot of a pool or wait for one.

    One that waits is given the next free slot, and would keep it.
    """
    storage = instance.event_log_storage
    pools = [storage.get_concurrency_info(pool) for pool in storage.get_concurrency_keys()]
    named = {slot.run_id for pool in pools for slot in pool.claimed_slots}
    named |= {step.run_id for pool in pools for step in pool.pending_steps}
    runs = {run_id: instance.get_run_by_id(run_id) for run_id in sorted(named)}
    return [run_id for run_id, run in runs.items() if run is None or run.is_finished]


def _where(instance: dg.DagsterInstance, run_id: str) -> tuple[float, int | None]:
    """When the run began to write, and the process that did; None where it has not said."""
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    for entry in events:
        event = entry.dagster_event
        if event is None or event.step_key:
            continue
        for name, value in event.engine_event_data.metadata.items():
            if name == "pid":
                return entry.timestamp, int(str(value.value))
    statistics = instance.get_run_stats(run_id)
    return statistics.start_time or statistics.launch_time or 0.0, None


def _lives(process: int, *, since: float) -> bool:
    """Whether it is the process that wrote at `since`, and not a later one of its number."""
    try:
        found = psutil.Process(process)
        return found.create_time() <= since + _CLOCK and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
