"""Data: a first profile for your files, a look at the door, what was left out, who is taken out."""

from pathlib import Path
from typing import Annotated

import typer

from curec_assets.cli.common import (
    ProfileOption,
    enter_home,
    require_dagster_home,
    resources_of,
    silence_libraries,
)
from curec_assets.settings import DEFAULT_PROFILE
from resources.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: curec init reviews.jsonl.gz products.csv")(init)
    data = typer.Typer(help="The data that the profile names.", no_args_is_help=True)
    data.command(epilog="Example: curec data check --profile own.toml")(check)
    app.add_typer(data, name="data")
    app.command(epilog="Example: curec quarantine")(quarantine)
    app.command(epilog="Example: curec forget u42")(forget)


def init(
    files: Annotated[
        list[Path], typer.Argument(help="One file of events, or two: events and items.")
    ],
    to: Annotated[Path, typer.Option(help="File to write; one that is there stays.")] = Path(
        "curec.toml"
    ),
    separator: Annotated[str, typer.Option(help="Of the cells of CSV; else a comma.")] = "",
    extends: Annotated[str, typer.Option(help="Profile that the new one extends.")] = (
        DEFAULT_PROFILE
    ),
) -> None:
    """Draft a profile for your own files: form, mapping and label, with what is unsure."""
    from curec_assets.datasets.sources.guess import as_toml, guess

    if to.exists():
        raise ConfigError(f"{to} is there already; name another file with --to, or remove it")
    found = guess(files, separator)
    text = as_toml(found, to.resolve().parent, extends)
    to.write_text(text, encoding="utf-8")
    print(f"{text}\nWritten to {to}. Next: curec data check --profile {to}")


def check(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Read the data without storing it: what is in it, and what of it cannot carry the method."""
    from curec_assets.datasets.interactions import build_interactions, require_mostly_known
    from curec_assets.datasets.items import build_items
    from curec_assets.datasets.ledger import read_all
    from curec_assets.datasets.profile import data_profile
    from curec_assets.datasets.sources.source import open_source
    from curec_assets.settings import load_profile

    chosen = load_profile(profile)
    source = open_source(chosen.data, resources_of(chosen.name)["downloads"], chosen.seed)
    items = build_items(source.items(), chosen.data.item_text)
    ledger, known = read_all(source), items["item_id"]
    found = build_interactions(ledger, known, liked_threshold=chosen.data.liked_from)
    require_mostly_known(found, known)
    events = found.events
    if chosen.data.feedback == "implicit":
        from curec_assets.datasets.drawn import with_drawn

        events = with_drawn(events, ledger, known, chosen.data.drawn_per_event)
    left_out = sum(source.quarantine(file)["row"].n_unique() for file in source.files())
    seen = data_profile(events, items, left_out, chosen.split)
    width = max(map(len, seen.figures))
    for name, figure in seen.figures.items():
        print(f"{name.ljust(width)}  {figure}")
    if found.unknown:
        print(f"{found.unknown:,} events name items that the catalogue lacks and are left out")
    for warning in seen.warnings:
        print(f"Warning: {warning}")


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
