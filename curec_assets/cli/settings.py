"""Settings: every one of every profile, and those that hold here with where each comes from."""

from collections.abc import Sequence

import typer

from curec_assets.cli.common import ProfileOption
from curec_assets.settings import DEFAULT_PROFILE, PROFILES, Profile, Section, resolved


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: curec profiles")(profiles)
    config = typer.Typer(help="The settings that hold.", no_args_is_help=True)
    config.command(epilog="Example: curec config show --profile own.toml")(show)
    app.add_typer(config, name="config")


def profiles() -> None:
    """List every setting of every profile."""
    print(describe_profiles())


def show(profile: ProfileOption = DEFAULT_PROFILE) -> None:
    """Every setting that holds, and where it comes from."""
    for name, (value, origin) in resolved(profile).items():
        print(f"{name} = {value!r}  # {origin}")


def describe_profiles() -> str:
    """Every setting with its value in each profile, and what it means."""
    lines = [f"Profiles: {', '.join(PROFILES)}. Choose with CUREC_PROFILE or --profile."]
    for name, field in Profile.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            lines += ["", f"[{name}] {(field.annotation.__doc__ or '').strip()}"]
            for key, setting in field.annotation.model_fields.items():
                values = [getattr(getattr(profile, name), key) for profile in PROFILES.values()]
                lines += [f"  {key} = {_values(values)}", f"      {setting.description}"]
        else:
            values = [getattr(profile, name) for profile in PROFILES.values()]
            lines += [f"{name} = {_values(values)}", f"      {field.description}"]
    return "\n".join(lines)


def _values(values: Sequence[object]) -> str:
    if len(set(values)) == 1:
        return repr(values[0])
    return ", ".join(f"{name}: {value!r}" for name, value in zip(PROFILES, values, strict=True))
