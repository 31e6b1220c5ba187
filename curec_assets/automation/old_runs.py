"""Old runs in Dagster's records: each takes 1 to 3 MB, and nobody looks at hundreds of them.

Kept are the latest ones, every run that has not ended, and those that say when an asset was made
last: without them its page would say that it never was.
"""

from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqliteEventLogStorage

KEPT = 50
"""How many runs are kept where nothing else is said."""


def old_runs(instance: dg.DagsterInstance, kept: int = KEPT) -> list[str]:
    """Ids of the runs that nothing needs, beyond the `kept` latest."""
    entries = [
        record.asset_entry for record in instance.get_asset_records(list(instance.get_asset_keys()))
    ]
    made = [entry.last_materialization_record for entry in entries]
    needed = {record.run_id for record in made if record}
    needed |= {run.run_id for run in instance.get_runs(limit=kept)}
    ended = instance.get_runs(dg.RunsFilter(statuses=list(FINISHED_STATUSES)))
    return [run.run_id for run in ended if run.run_id not in needed]


def drop_old_runs(instance: dg.DagsterInstance, kept: int = KEPT) -> int:
    """Delete them; how many there were."""
    dropped = old_runs(instance, kept)
    for run_id in dropped:
        delete_run(instance, run_id)
    return len(dropped)


def delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete all that is known of a run, with what its steps printed."""
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):  # which leaves the run's file, emptied
        file = Path(storage.path_for_shard(run_id))
        for left in file.parent.glob(f"{file.name}*"):
            left.unlink(missing_ok=True)
