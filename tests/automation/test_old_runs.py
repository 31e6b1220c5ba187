"""Dagster's records stop growing, and still say when each asset was made last."""

from pathlib import Path

import dagster as dg
import pytest

from curec_assets.automation.old_runs import drop_old_runs

RUNS = 12
KEPT = 4


@dg.asset
def often() -> None:
    print("something for the step's log")


@dg.asset
def once() -> None:
    pass


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.fault("many runs fill the disk", tried=RUNS)
def test_records_stop_growing_and_know_when_each_asset_was_made(tmp_path: Path) -> None:
    sizes = []
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        going_on = instance.create_run_for_job(
            dg.Definitions([often]).resolve_implicit_global_asset_job_def(),
            status=dg.DagsterRunStatus.STARTED,
        )
        first = dg.materialize([once], instance=instance).run_id
        ran = []
        for _ in range(RUNS):
            ran.append(dg.materialize([often], instance=instance).run_id)
            drop_old_runs(instance, KEPT)
            sizes.append(size(tmp_path))
        left = [run.run_id for run in instance.get_runs()]
        assert left == [*reversed(ran[-KEPT:]), first, going_on.run_id]
        made = instance.get_latest_materialization_event(dg.AssetKey("once"))
        assert made is not None
        assert made.run_id == first
        assert drop_old_runs(instance, KEPT) == 0
    assert len({path.name for path in (tmp_path / "storage").iterdir()} & set(ran)) <= KEPT
    # SQLite grows by pages and keeps free ones: flat within a tenth.
    assert max(sizes[KEPT:]) < 1.1 * sizes[KEPT]
