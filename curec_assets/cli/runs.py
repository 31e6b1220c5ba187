"""Materialise everything here, and show what came out."""

import time

import typer

from curec_assets.cli.common import (
    ProfileOption,
    enter_home,
    require_dagster_home,
    resources_of,
    silence_libraries,
)
from curec_assets.settings import DEFAULT_PROFILE
from resources.errors import CurecError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: curec demo --profile smoke")(demo)
    app.command(epilog="Example: curec outcome")(outcome)


def demo(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Materialise everything in this process, then print the outcome."""
    enter_home(writes=True)
    require_dagster_home()
    silence_libraries()
    started = time.monotonic()

    import dagster as dg

    from curec_assets.automation.interruption import interruptible
    from curec_assets.automation.old_runs import KEPT, drop_old_runs
    from curec_assets.automation.run_launcher import fail_dead_runs
    from curec_assets.automation.run_progress import RunProgress
    from curec_assets.definitions import build_definitions, home_folder, recipes
    from curec_assets.reports.costs import cost_table, write_costs
    from resources.storage.warehouse_copy import keep_copy

    progress = RunProgress(len(recipes()))
    definitions = build_definitions(profile=profile, loggers={"progress": progress.logger()})
    job = definitions.resolve_job_def("everything")
    with dg.DagsterInstance.get() as instance:
        for said in fail_dead_runs(instance):
            print(said, flush=True)
        drop_old_runs(instance, getattr(instance.run_launcher, "kept_runs", KEPT))
        result = interruptible(
            job,
            instance,
            raise_on_error=False,
            run_config={"loggers": {"progress": {}}},
            tags={"curec/why": "curec demo"},
        )
    if not result.success:
        raise CurecError(
            f"{progress.failure or 'the run failed'}\nDetails: `make ui`, run {result.run_id}. "
            "What was made before is kept; the same command continues from there"
        )
    costs, total = progress.run_costs(), time.monotonic() - started
    write_costs(home_folder() / "costs.json", costs, profile, total)
    print(f"\n{cost_table(costs, total)}\n\n{_outcome()}")
    keep_copy(resources_of(profile)["warehouse"])


def outcome() -> None:
    """Print the outcome of what is stored."""
    enter_home()
    print(_outcome())


def _outcome() -> str:
    from curec_assets.definitions import recipes
    from curec_assets.reports.outcome import outcome as said

    resources = resources_of()
    assets = [recipe.name for recipe in recipes()]
    return said(resources["warehouse"], resources["model_store"], assets)
