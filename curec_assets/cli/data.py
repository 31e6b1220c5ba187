"""Data that came in: what was left out of it, and people who are to be taken out of it."""

from typing import Annotated

import typer

from curec_assets.cli.common import (
    DEFAULT_PROFILE,
    ProfileOption,
    enter_home,
    require_dagster_home,
    resources_of,
    silence_libraries,
)
from resources.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: curec quarantine")(quarantine)
    app.command(epilog="Example: curec forget u42")(forget)


def quarantine() -> None:
    """List the cells for which rows of your file were left out."""
    enter_home()
    from curec_assets.reports.outcome import text_table

    rows = resources_of()["warehouse"].read("quarantine")
    if rows.is_empty():
        print("Nothing is in quarantine: every row of the interactions was read.")
        return
    print(
        f"{rows['row'].n_unique()} rows were left out. Correct them in the file: a changed file is "
        f"read again as a whole.\n\n"
        + text_table(rows.columns, [[str(cell) for cell in row] for row in rows.iter_rows()])
    )


def forget(
    user: Annotated[
        str | None, typer.Argument(help="Id of the user, as in your file.", show_default=False)
    ] = None,
    requests: Annotated[
        bool,
        typer.Option(
            "--requests",
            help="Instead, everybody whom files NAME.forget in the inbox name, one id a line. "
            "The files are removed when it is done.",
        ),
    ] = False,
    within: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="A Dagster run that is not waited for.", hidden=True),
    ] = None,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Take a user out of the home for good, and prove that nothing is left."""
    if (user is None) is not requests:
        raise ConfigError("give the id of a user, or --requests for those in the inbox")
    enter_home(writes=True)

    import dagster as dg

    from curec_assets.automation.lanes import FAST
    from curec_assets.automation.run_progress import RunProgress
    from curec_assets.datasets.sources.erasure_requests import read_requests, request_files
    from curec_assets.definitions import build_definitions, recipes
    from curec_assets.lifecycle.forget import forget_users
    from curec_assets.settings import load_profile

    require_dagster_home()
    silence_libraries()
    asked = read_requests(request_files(load_profile(profile).data)) if requests else []
    users = {each for request in asked for each in request.users} if user is None else {user}
    if not users:
        print("No file in the inbox asks for it.")
        return
    resources = resources_of(profile)
    progress = RunProgress(1 + len(FAST))
    with dg.DagsterInstance.get() as instance:
        forget_users(
            sorted(users),
            build_definitions(profile=profile, loggers={"progress": progress.logger()}),
            recipes(),
            resources["warehouse"],
            resources["model_store"],
            instance,
            say=lambda text: print(text, flush=True),
            within=within,
            run_config={"loggers": {"progress": {}}},
        )
    for request in asked:
        request.answered()
