"""Is the Dagster side of this home sound? Its settings, and what runs have left behind."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster._core.launcher import DefaultRunLauncher

from curec_assets.automation.run_launcher import dead_runs, ended_runs_with_slots, fail_dead_runs
from curec_assets.lifecycle.findings import Finding
from resources.storage.private import not_writable

_COPY_SETTINGS = "copy deploy/dagster.yaml there as dagster.yaml, or use `make setup`"
_WRITABLE = "make it writable, or set DAGSTER_HOME to a folder that is"
_FREE = "`curec demo`, `dagster dev` and `curec doctor --fix` all fail them and free their slots"


def of_dagster(folder: Path) -> Iterator[Finding]:
    """Every finding about the instance whose home is `folder`."""
    what = "Dagster home"
    if not (folder / "dagster.yaml").is_file():
        yield Finding(what, f"{folder} has no dagster.yaml", _COPY_SETTINGS)
        return
    refused = not_writable(folder)
    if refused:  # Dagster opens its records to write
        yield Finding(what, f"{refused} cannot be written, so runs were not looked at", _WRITABLE)
        return
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        if type(instance.run_launcher) is DefaultRunLauncher:
            yield Finding(what, "settings of an older CURec", f"in {folder}: {_COPY_SETTINGS}")
        else:
            yield Finding(what, str(folder))
        dead = [f"{run.run_id}: {why}" for run, why in dead_runs(instance)]
        yield Finding("runs", "; ".join(dead) or "none is left behind", _FREE if dead else "")
        held = ended_runs_with_slots(instance)
        yield Finding(
            "pool slots",
            f"held by ended runs {', '.join(held)}" if held else "none is held by an ended run",
            _FREE if held else "",
        )


def repair(folder: Path) -> Iterator[str]:
    """Fail the runs that are left behind and free the slots of ended ones."""
    if (folder / "dagster.yaml").is_file() and not not_writable(folder):
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            yield from fail_dead_runs(instance)
