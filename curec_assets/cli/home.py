"""Is this home sound?"""

from typing import Annotated

import typer

from curec_assets.cli.common import dagster_home, resources_of
from resources.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: curec doctor --fix")(doctor)


def doctor(
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Do what is safe: modes, runs that were left behind, the copy of the warehouse.",
        ),
    ] = False,
) -> None:
    """Look whether this home is sound: exit code 1 when it is not."""
    from curec_assets.definitions import home_folder, recipes
    from curec_assets.lifecycle import doctor, runs
    from curec_assets.lifecycle.findings import Finding, report

    home = home_folder()
    if not home.is_dir():
        raise ConfigError(f"home {home} does not exist; set CUREC_HOME, or run `curec demo` first")
    records = dagster_home(home)
    resources = resources_of()
    warehouse, store = resources["warehouse"], resources["model_store"]

    def look() -> list[Finding]:
        stored = doctor.of_storage(home, warehouse, store, recipes())
        return [*stored, *runs.of_dagster(records)]

    found = look()
    if fix:
        for done in (*doctor.repair(home, warehouse, found), *runs.repair(records)):
            print(done, flush=True)
        found = look()
    print(report(found))
    if not all(each.sound for each in found):
        raise typer.Exit(1)
