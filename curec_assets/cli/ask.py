"""Ask what a person is recommended, and why."""

import json
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from curec_assets.cli.common import (
    ProfileOption,
    enter_home,
    resources_of,
    silence_libraries,
)
from curec_assets.settings import DEFAULT_PROFILE

if TYPE_CHECKING:
    from curec_assets.serving.now import Now
    from resources.generation.protocol import TextGenerator

User = Annotated[str, typer.Argument(help="Id of the user, as in your file.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: curec recommend 196 --top 5")(recommend)
    app.command(epilog='Example: curec explain 196 "Fargo"')(explain)


def recommend(
    user: User,
    top: Annotated[int, typer.Option(min=1, help="How many items.")] = 3,
    now: Annotated[
        bool, typer.Option("--now", help="Compute it, also where the table has it.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Computed ones: let the policy write the reasons.")
    ] = False,
    as_json: Json = False,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """What a user is recommended, each item with its reason.

    From the table `recommendations` where it has the user and as many items; else it is computed
    now, with reasons that the composer makes of the facts, or with --write the policy.
    """
    from curec_assets.reports.outcome import recommendations_text
    from curec_assets.serving.said import recommendation_values

    known = _now(profile)
    known.require_user(user)
    rows = known.stored(user)
    source = "the table `recommendations`"
    if now or write or rows.height < top:
        source = "computed now, reasons by the " + ("policy" if write else "composer")
        with _writer(profile, wanted=write) as writer:
            rows = known.recommended(user, top, writer)
    rows = rows.head(top)
    if as_json:
        print(json.dumps(recommendation_values(rows), ensure_ascii=False, indent=1))
        return
    print(f"User {user} ({source}; in brackets the probability of a like)")
    print(recommendations_text(rows))


def explain(
    user: User,
    item: Annotated[str, typer.Argument(help="Id or title of the item.")],
    as_json: Json = False,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Why a user would like an item, or not: evidence, contributions, verdict and reason."""
    from curec_assets.serving.said import explanation_text, explanation_values

    known = _now(profile)
    known.require_user(user)
    item_id = known.item_named(item)
    found = known.explained(user, item_id)
    shown = known.stored(user).filter(item_id=item_id)["reason"].to_list()
    stored = shown[0] if shown else ""
    if as_json:
        print(json.dumps(explanation_values(found, stored), ensure_ascii=False, indent=1))
        return
    print(explanation_text(found, stored))


def _now(profile: str) -> "Now":
    enter_home()
    silence_libraries()

    from curec_assets.serving.now import Now
    from curec_assets.settings import load_profile

    resources = resources_of(profile)
    return Now(resources["warehouse"], resources["model_store"], load_profile(profile))


def _writer(profile: str, *, wanted: bool) -> "AbstractContextManager[TextGenerator | None]":
    """The policy; none unless it is wanted."""
    if not wanted:
        return nullcontext()
    from curec_assets.serving.policy import open_policy
    from curec_assets.settings import load_profile

    return open_policy(load_profile(profile), resources_of(profile))
