"""The settings as a Dagster resource: the launchpad shows every field of every section."""

import json
from typing import Annotated, Any, Literal, get_args, get_origin

import dagster as dg
from pydantic import Field, create_model

from curec_assets.settings.loading import PROFILE_NAMES, SECTIONS, Profile, load_profile
from curec_assets.settings.sections import Section


def _override_type(section: type[Section]) -> type[dg.Config]:
    """A launchpad form of `section`: every field optional, described, with each profile's value."""
    fields: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        fields[name] = (
            _launchpad_type(field.annotation),
            Field(None, description=f"{field.description} Unset: the profile's value."),
        )
    return create_model(f"{section.__name__}Override", __base__=dg.Config, **fields)


def _launchpad_type(annotation: Any) -> Any:
    if annotation in (bool, int, float):
        return annotation | None
    if get_origin(annotation) is tuple:
        element = get_args(annotation)[0]
        plain: Any = get_args(element)[0] if get_origin(element) is Annotated else element
        plain = str if get_origin(plain) is Literal else plain
        return list[plain] | None
    return str | None


_OVERRIDES = {name: _override_type(section) for name, section in SECTIONS.items()}
_SectionOverrides = create_model(
    "_SectionOverrides",
    __base__=dg.ConfigurableResource,
    **{
        name: (kind, Field(kind(), description=(SECTIONS[name].__doc__ or "").strip()))
        for name, kind in _OVERRIDES.items()
    },  # type: ignore[call-overload]
)


class Settings(_SectionOverrides):
    """The profile of this run, and any field of it that this run sets otherwise."""

    profile: str = Field(
        description=f"Name of a profile ({', '.join(PROFILE_NAMES)}) or path of a .toml file."
    )
    seed: int | None = Field(None, description="Root of every random choice.")

    def resolve(self) -> Profile:
        """The validated settings. Raises `ConfigError`."""
        # Not cached: a TOML profile may be edited while a code server runs.
        chosen = json.loads(self.model_dump_json(exclude_none=True, exclude={"profile"}))
        return load_profile(
            self.profile, {name: value for name, value in chosen.items() if value != {}}
        )
