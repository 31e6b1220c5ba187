"""A `Profile` is a full set of settings; where it is read from, and what is said of a wrong one.

A profile is chosen by `CUREC_PROFILE` when the definitions are built: its name (`smoke`, `laptop`,
`benchmark`, `gpu`), or the path of a TOML file

    extends = "laptop"
    [data]
    source = "files"
    interactions_path = "my/interactions.csv"

and any field can be overridden again in a run's configuration (the launchpad shows them all).
"""

import tomllib
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from curec_assets.settings.profiles import PROFILE_VALUES
from curec_assets.settings.sections import (
    AlignmentSettings,
    DataSettings,
    DriftSettings,
    EncoderSettings,
    EvidenceSettings,
    ExplanationSettings,
    LanguageModelSettings,
    PolicySettings,
    RankingSettings,
    ReasonSettings,
    RecommenderSettings,
    RewardSettings,
    Section,
    ServerSettings,
    SplitSettings,
    TeacherSettings,
    TrackingSettings,
)
from resources.errors import ConfigError
from resources.generation.protocol import GeneratorOptions


class Profile(Section):
    """A complete, validated set of settings."""

    name: str = Field(description="Profile that these settings started from.")
    seed: NonNegativeInt = Field(20260101, description="Root of every random choice.")
    data: DataSettings
    split: SplitSettings = SplitSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    explanation: ExplanationSettings = ExplanationSettings()
    language_model: LanguageModelSettings
    server: ServerSettings = ServerSettings()
    teacher: TeacherSettings = TeacherSettings()
    alignment: AlignmentSettings
    reward: RewardSettings
    policy: PolicySettings
    reasons: ReasonSettings
    encoder: EncoderSettings
    ranking: RankingSettings = RankingSettings()
    recommender: RecommenderSettings
    drift: DriftSettings = DriftSettings()
    tracking: TrackingSettings = TrackingSettings()

    def generator_options(self) -> GeneratorOptions:
        """How the generator is to be opened."""
        chosen = self.language_model
        return GeneratorOptions(
            batch_size=chosen.batch_size,
            max_prompt_tokens=chosen.max_prompt_tokens,
            max_new_tokens=chosen.max_new_tokens,
            engine=chosen.engine,
            server=self.server.endpoint(),
            dtype=chosen.dtype,
        )

    @model_validator(mode="after")
    def _server_is_named(self) -> Self:
        if self.language_model.engine == "server" and not self.server.url:
            raise ValueError(
                "language_model.engine is 'server' but server.url is empty; name its base address"
            )
        if self.teacher.url and not self.teacher.model:
            raise ValueError(
                "teacher.url is set but teacher.model is empty; name the model that it serves"
            )
        return self

    @model_validator(mode="after")
    def _files_are_named(self) -> Self:
        if self.data.source == "files" and not self.data.interactions_path:
            raise ValueError(
                "data.source is 'files' but data.interactions_path is empty; name the file, or the "
                "folder of files"
            )
        return self

    @model_validator(mode="after")
    def _database_is_named(self) -> Self:
        if self.data.source == "database":
            for name in ("database", "interactions_query"):
                if not getattr(self.data, name):
                    raise ValueError(
                        f"data.source is 'database' but data.{name} is empty; set the URL of a "
                        "database, and a SELECT that gives all interactions"
                    )
        return self


DEFAULT_PROFILE = "laptop"
PROFILE_NAMES = tuple(PROFILE_VALUES)
SECTIONS: dict[str, type[Section]] = {
    name: field.annotation
    for name, field in Profile.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}


def _build(values: dict[str, Any], origin: str) -> Profile:
    try:
        return Profile.model_validate(values)
    except ValidationError as error:
        problems = [_explain(detail) for detail in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(problems)) from None


def _explain(detail: Any) -> str:
    location = [str(part) for part in detail["loc"]]
    where = ".".join(location) or "profile"
    if detail["type"] == "value_error":  # a validator of ours: its message says it all
        return f"{where}: {detail['ctx']['error']}"
    if detail["type"] != "extra_forbidden":
        return f"{where}: found {detail.get('input')!r}: {detail['msg']}"
    section = SECTIONS.get(location[0]) if len(location) > 1 else None
    valid = (section or Profile).model_fields
    return f"{where} is not a setting; valid here: {', '.join(sorted(valid))}"


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merge(merged[name], value)
        else:
            merged[name] = value
    return merged


def load_profile(choice: str, overrides: dict[str, Any] | None = None) -> Profile:
    """The profile named `choice`, or read from the TOML file `choice`, with `overrides` applied.

    Raises `ConfigError` for an unknown profile, section, field or value, listing the valid ones.
    """
    if choice.endswith(".toml"):
        values, origin = _read_toml(Path(choice)), choice
    elif choice in PROFILE_VALUES:
        values, origin = {"name": choice, **PROFILE_VALUES[choice]}, f"profile {choice!r}"
    else:
        raise ConfigError(
            f"profile {choice!r} does not exist; choose one of {', '.join(PROFILE_NAMES)}, or the "
            "path of a .toml file that extends one of them"
        )
    return _build(_merge(values, overrides or {}), origin)


def resolved(choice: str) -> dict[str, tuple[object, str]]:
    """`section.field` → its value, and where that comes from: a file, a profile or the default.

    Raises `ConfigError` as `load_profile` does.
    """
    profile = load_profile(choice)
    base = profile.name
    origins = [(PROFILE_VALUES[base], f"profile {base}")]
    if choice.endswith(".toml"):
        changes = tomllib.loads(Path(choice).read_text(encoding="utf-8"))
        base = changes["extends"]
        origins = [(changes, choice), (PROFILE_VALUES[base], f"profile {base}")]
    found: dict[str, tuple[object, str]] = {}
    for name, value in profile.model_dump(mode="json").items():
        if isinstance(value, dict):
            for key, each in value.items():
                said = [origin for values, origin in origins if key in values.get(name, {})]
                found[f"{name}.{key}"] = (each, said[0] if said else "default")
        else:
            said = [origin for values, origin in origins if name in values]
            found[name] = (value, said[0] if said else "default")
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        changes = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"profile file {str(path)!r} does not exist; name an existing .toml file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"profile file {str(path)!r} is not valid TOML: {error}") from None
    base = changes.pop("extends", None)
    if not isinstance(base, str) or base not in PROFILE_VALUES:
        raise ConfigError(
            f"profile file {str(path)!r}: extends = {base!r} is not a profile; "
            f"set extends to one of {', '.join(PROFILE_NAMES)}"
        )
    data = changes.get("data")
    for key in ("interactions_path", "items_path"):
        value = data.get(key) if isinstance(data, dict) else None
        if isinstance(data, dict) and isinstance(value, str) and value and "://" not in value:
            data[key] = str((path.parent / value).resolve())
    database = data.get("database") if isinstance(data, dict) else None
    if isinstance(data, dict) and isinstance(database, str):
        scheme, marks, file = database.partition(":///")
        if marks and scheme in ("sqlite", "duckdb"):
            data["database"] = f"{scheme}:///{(path.parent / file).resolve()}"
    return _merge({"name": base, **PROFILE_VALUES[base]}, changes)


PROFILES = MappingProxyType({name: load_profile(name) for name in PROFILE_NAMES})
