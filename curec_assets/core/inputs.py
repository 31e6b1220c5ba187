"""What a recipe's functions get: what the recipe declared, and nothing else.

Reading a table, an artifact, a setting or a resource that was not declared raises `UndeclaredRead`:
it would change the result without changing the asset's identity, and a stale result would be taken
for a good one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import polars as pl

from curec_assets.core.code import EVIDENCE, WRITER, code_of
from curec_assets.core.provenance import digest
from curec_assets.settings import Profile, Section
from resources.models.checkpoint import BaseCheckpoint
from resources.storage.manifest import Manifest
from resources.storage.model_store import Artifact, ModelStore
from resources.storage.warehouse import Warehouse
from resources.tracking import UNTRACKED, TrackedRun

FITS = "evidence_fits"
"""Folder of the model store; see `fits_folder`."""


class UndeclaredRead(RuntimeError):
    """A recipe's function read what the recipe does not declare."""


@dataclass(frozen=True)
class Inputs:
    """The declared inputs of one asset in one phase (choosing a view, building, describing)."""

    asset: str
    settings: Profile
    """The profile; reading a field that was not declared raises `UndeclaredRead`."""
    tables: Collection[str]
    artifacts: Collection[str]
    resources: Mapping[str, Any]
    """Role → resource, of those that were declared."""
    warehouse: Warehouse = field(repr=False)
    store: ModelStore = field(repr=False)
    log: Callable[[str], None] = field(repr=False)
    warn: Callable[[str], None] = field(repr=False)
    view: Any = None
    """What the recipe's `view` has chosen; None before that."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """What was measured when the stored result was made, for `describe`."""
    before: Manifest | None = None
    """How the stored table was made that is being updated."""
    earlier: pl.DataFrame | None = None
    """Rows that are stored, of which some may be kept; see `Recipe.lasting`."""
    folder: Path | None = None
    """Where an artifact's `build` writes its files."""
    folder_of_work: Callable[[str], Path] | None = field(default=None, repr=False)
    tracking: TrackedRun = UNTRACKED
    """Where an artifact's `build` reports its curves."""

    def table(self, name: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """A declared table, or some columns of it. Raises `ArtifactError` when it is not there."""
        self._require("table", name, self.tables)
        return self.warehouse.read(name, columns)

    def matching(
        self, name: str, keys: pl.DataFrame, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """The rows of a declared table, or of the one that is updated, with one of these keys.

        `keys`: rows of values, by column.
        """
        self._require("table", name, self._growing)
        return self.warehouse.matching(name, keys, columns)

    def above(self, name: str, column: str, value: int) -> pl.DataFrame:
        """The rows of a declared table, or of the one that is updated, beyond a value, in order."""
        self._require("table", name, self._growing)
        return self.warehouse.above(name, column, value)

    @property
    def _growing(self) -> Collection[str]:
        return [*self.tables, *((self.asset,) if self.before else ())]

    def manifest(self, name: str) -> Manifest:
        """How a declared table or artifact was made. Raises `ArtifactError` when it is missing."""
        if name in self.artifacts:
            return self.artifact(name).manifest
        self._require("table", name, self.tables)
        return self.warehouse.existing_manifest(name)

    def versions(self, *names: str) -> dict[str, str]:
        """Name → data version of declared tables and artifacts."""
        return {name: self.manifest(name).data_version for name in names}

    def artifact(self, name: str) -> Artifact:
        """A declared artifact, as it is now. Raises `ArtifactError` when it is not there."""
        self._require("artifact", name, self.artifacts)
        return self.store.current(name)

    def resource(self, role: str) -> Any:
        """A declared resource."""
        self._require("resource", role, self.resources)
        return self.resources[role]

    def base_model(self) -> BaseCheckpoint:
        """The checkpoint of the base language model, made on first use."""
        chosen = self.settings.language_model
        found: BaseCheckpoint = self.resource("language_model").prepare(
            chosen.base, allow_code_of=chosen.allow_code_of
        )
        return found

    def output(self) -> Path:
        """The folder that an artifact's `build` writes into."""
        if self.folder is None:
            raise UndeclaredRead(f"{self.asset!r} is no artifact, or is not being built")
        return self.folder

    def workspace(self, name: str = "work") -> Path:
        """A folder for unfinished work that a later attempt takes up."""
        if self.folder_of_work is None:
            raise UndeclaredRead(f"{self.asset!r} asks for its workspace before it is built")
        return self.folder_of_work(name)

    def completions(self, weights: str) -> Path:
        """Where completions of the model with these weights are kept; see `completions_folder`."""
        return completions_folder(self.store, weights)

    def fits(self) -> Path:
        """Where evidence keeps its last fits; see `fits_folder`."""
        return fits_folder(self.store)

    def _require(self, kind: str, name: str, declared: Collection[str]) -> None:
        if name not in declared:
            raise UndeclaredRead(
                f"{self.asset!r} reads the {kind} {name!r}, which its recipe does not declare here "
                f"(declared: {', '.join(sorted(declared)) or 'none'}); add it to the recipe, so "
                "that a change of it is noticed"
            )


def completions_folder(store: ModelStore, weights: str) -> Path:
    """Where completions by a model are kept by what was asked, for every asset that asks it.

    `weights`: what names them. What was written once is not written again, whichever table it was
    written for; the code that writes is part of the folder's name.
    """
    return store.kept("completions", digest([weights, code_of([WRITER])]))


def fits_folder(store: ModelStore) -> Path:
    """Where fits of evidence are kept; the code that fits is part of the folder's name."""
    return store.kept(FITS, digest(code_of([EVIDENCE])))


def declared_settings(profile: Profile, paths: Collection[str], asset: str) -> Profile:
    """`profile` as far as `paths` (`section.field`, `section`, `seed`) allow it to be read.

    Fields that are marked as operational (they say how, not what) may always be read.
    """
    return cast(Profile, _Guarded(profile, frozenset(paths), asset, ""))


def values_at(profile: Profile, paths: Collection[str]) -> dict[str, Any]:
    """Path → value as plain JSON, for each path and each field of a path that names a section."""
    values = profile.model_dump(mode="json")
    found: dict[str, Any] = {}
    for path in sorted(paths):
        value: Any = values
        for part in path.split("."):
            value = value[part]
        if isinstance(value, dict):
            section = type(getattr(profile, path))
            found |= {
                f"{path}.{name}": each
                for name, each in value.items()
                if not is_operational(section, name)
            }
        else:
            found[path] = value
    return found


def is_operational(section: type[Section], name: str) -> bool:
    """Whether a setting says how work is done, and not what comes of it."""
    extra = section.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("operational"))


class _Guarded:
    """A profile or section of which only declared fields can be read."""

    def __init__(self, values: Section, paths: frozenset[str], asset: str, prefix: str) -> None:
        self._values, self._paths, self._asset, self._prefix = values, paths, asset, prefix

    def __getattr__(self, name: str) -> Any:
        values = self._values
        if name not in type(values).model_fields:
            method = getattr(type(values), name)  # runs on what is guarded, not on the values
            return method.__get__(self)
        path = f"{self._prefix}{name}"
        value = getattr(values, name)
        if path in self._paths or is_operational(type(values), name):
            return value
        if isinstance(value, Section):
            return _Guarded(value, self._paths, self._asset, f"{path}.")
        raise UndeclaredRead(
            f"{self._asset!r} reads the setting {path}, which its recipe does not declare here "
            f"(declared: {', '.join(sorted(self._paths)) or 'none'}); add it to the recipe, so "
            "that a change of it is noticed"
        )
