"""Two policies, or rungs of the ladder, side by side on the same events."""

import json
from typing import Annotated

import typer

from curec_assets.cli.ask import Json
from curec_assets.cli.common import (
    ProfileOption,
    enter_home,
    resources_of,
    silence_libraries,
)
from curec_assets.settings import DEFAULT_PROFILE
from resources.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: curec compare reasons composer --limit 3")(compare)


def compare(
    a: Annotated[
        str | None, typer.Argument(help="Whose reasons; without a name: who can be compared.")
    ] = None,
    b: Annotated[str | None, typer.Argument(help="And whose.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many pairs of texts to show.")] = 5,
    as_json: Json = False,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Reasons of two writers about the same events: how far they agree, and which words differ.

    A writer is a policy (also a kept one), the aligned model, the composer, or a rung that
    `make benchmark` wrote. AUC is of the level against the outcome, with 95 % intervals over users.
    """
    enter_home()
    silence_libraries()
    from curec_assets.serving.compared import Compared
    from curec_assets.serving.said import comparison_text, comparison_values
    from curec_assets.serving.writers import Writers
    from curec_assets.settings import load_profile

    chosen, resources = load_profile(profile), resources_of(profile)
    warehouse = resources["warehouse"]
    writers = Writers(warehouse, resources["model_store"], chosen)
    if a is None or b is None:
        if a is not None:
            raise ConfigError(f"only {a!r} is named; name two, or none to see who can be compared")
        names = writers.names()
        if as_json:
            print(json.dumps(names, ensure_ascii=False, indent=1))
        else:
            width = max(map(len, names), default=0)
            lines = [f"{name.ljust(width)}  {about}" for name, about in names.items()]
            print("\n".join(lines) or "Nobody wrote a reason in this home yet: `make demo` does.")
        return
    compared = Compared.of(writers, warehouse, a, b)
    measures = compared.measures(chosen.recommender.bootstrap_samples, chosen.seed)
    samples = compared.different(limit, chosen.seed)
    if as_json:
        values = comparison_values(compared, measures, samples)
        print(json.dumps(values, ensure_ascii=False, indent=1))
    else:
        print(comparison_text(compared, measures, samples))
