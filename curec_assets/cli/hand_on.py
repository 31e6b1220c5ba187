"""Hand on what is stored: a page to look at, a read API, and files of recommendations."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from curec_assets.cli.common import (
    ProfileOption,
    enter_home,
    resources_of,
    silence_libraries,
)
from curec_assets.settings import DEFAULT_PROFILE
from resources.errors import ConfigError


class Form(StrEnum):
    """What recommendations can be written as."""

    parquet = "parquet"
    csv = "csv"
    jsonl = "jsonl"
    sqlite = "sqlite"
    postgres = "postgres"


class Pairs(StrEnum):
    """What preference pairs can be written as."""

    jsonl = "jsonl"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: curec explore --port 8001")(explore)
    app.command(epilog="Example: curec serve --port 8000")(serve)
    export = typer.Typer(help="Write what is stored for others.", no_args_is_help=True)
    export.command(epilog="Example: curec export recommendations out.jsonl --to jsonl")(
        recommendations
    )
    export.command(epilog="Example: curec export preferences pairs.jsonl --to jsonl")(preferences)
    app.add_typer(export, name="export")


def explore(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any.")] = 8001,
    ui: Annotated[
        str | None,
        typer.Option(help="Where Dagster's pages are, for links; else where `make ui` has them."),
    ] = None,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """A page over the home, on loopback: people, items, quality, lineage, comparison of writers.

    Open the address that it prints.
    """
    home = enter_home()
    silence_libraries()
    os.environ |= {"CUREC_HOME": str(home), "CUREC_PROFILE": profile}
    if ui:
        os.environ["CUREC_UI"] = ui

    import marimo
    import uvicorn

    from curec_assets.explorer import app, comparing, pages, quality, time_line  # noqa: F401  (what the app imports)
    from curec_assets.explorer.opened import opened
    from curec_assets.explorer.scripts import WithScripts

    opened()  # an empty home is refused here, in words
    app.app.run()  # a first run imports and compiles what the first visitor would wait for
    shown = marimo.create_asgi_app(quiet=True).with_app(path="", root=str(app.__file__)).build()
    server = WithScripts(shown)
    uvicorn.run(server, host="127.0.0.1", port=port, access_log=False, log_level="info")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any.")] = 8000,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """A read API over the tables: /recommend, /explain, /health; its page is /docs."""
    enter_home()
    silence_libraries()

    import uvicorn

    from curec_assets.serving.api import Shelf, read_api
    from curec_assets.serving.now import Now
    from curec_assets.settings import load_profile

    chosen, resources = load_profile(profile), resources_of(profile)
    warehouse, store = resources["warehouse"], resources["model_store"]
    app = read_api(Shelf(warehouse), lambda: Now(warehouse, store, chosen))
    uvicorn.run(app, host=host, port=port, access_log=False, log_level="info")


def recommendations(
    place: Annotated[
        str, typer.Argument(help="New file to write; or postgresql://USER@HOST/NAME.")
    ],
    to: Annotated[Form, typer.Option(help="What to write it as.")] = Form.parquet,
) -> None:
    """The table of recommendations, a row for each user and rank.

    With --to postgres as a new table of a server; its password is taken from PGPASSWORD or from
    ~/.pgpass.
    """
    enter_home()
    from curec_assets.serving.exported import write_recommendations, write_to_postgresql

    if to is Form.postgres:
        _require_server(place)
    else:
        _require_new(Path(place))
    rows = resources_of()["warehouse"].read("recommendations").sort("user_id", "rank")
    if to is Form.postgres:
        write_to_postgresql(rows, place)
    else:
        write_recommendations(rows, Path(place), to.value)
    print(f"{rows.height:,} recommendations written to {place}")


def preferences(
    file: Annotated[Path, typer.Argument(help="New file to write.")],
    to: Annotated[Pairs, typer.Option(help="What to write it as.")] = Pairs.jsonl,
) -> None:
    """The votes of the explorer's page Compare as pairs: prompt, chosen, rejected.

    As chats, in the form that TRL's preference trainers (DPOTrainer) read.
    """
    home = enter_home()
    from curec_assets.serving.votes import stored_votes, write_preferences

    _require_new(file)
    votes = stored_votes(home)
    count = write_preferences(votes, file)
    print(f"{count:,} pairs of {len(votes):,} votes written to {file} as {to.value}")


def _require_server(place: str) -> None:
    parts = urlsplit(place)
    if parts.scheme != "postgresql" or parts.password:
        raise ConfigError(  # the place is not repeated, for it may hold a password
            "--to postgres wants the URL of a database, postgresql://USER@HOST/NAME, without a "
            "password: put that into PGPASSWORD or ~/.pgpass"
        )


def _require_new(file: Path) -> None:
    if str(file).startswith("postgresql:"):
        raise ConfigError("a database is written with --to postgres; name a file to write")
    if file.exists():
        raise ConfigError(f"{file} is there already; name another file, or remove it")
