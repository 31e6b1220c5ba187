"""A `Recipe`: all that is to be said of an asset, said once.

What it reads, which settings it depends on, what it writes and which functions make it. From this
one place come Dagster's `deps`, the asset's identity (fingerprint) and code version, and the values
that its functions get (`core.inputs`). `core.asset` turns a recipe into a Dagster asset.

A function decorated with `table` or `artifact` *is* the recipe: the function builds the result, its
docstring describes the asset.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from curec_assets.core.code import WRITER, Symbol, code_of, file_digest
from curec_assets.core.inputs import Inputs, values_at
from curec_assets.core.provenance import content_hash, digest
from curec_assets.settings import Profile
from resources.storage.manifest import Manifest
from resources.tracking import Measures

Build = Callable[[Inputs], Any]
View = Callable[[Inputs], Any]
Settings = tuple[str, ...] | Callable[[Profile], tuple[str, ...]]

WAITING = "waiting"
"""Metric of a lasting table: rows that are not yet as they are to be; see `Recipe.lasting`."""
_MODEL_SETTINGS = ("language_model.base", "language_model.allow_code_of")
_RESOURCE_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "language_model": _MODEL_SETTINGS,
    "text_encoder": ("encoder.source",),
}
"""Settings that stand in an identity as the revision of what they name."""
_RESOURCE_CODE: Mapping[str, tuple[Symbol, ...]] = {
    "generator_factory": (WRITER,),
    "language_model": (("resources.models.base_models", "LanguageModel"),),
    "text_encoder": (("resources.models.text_encoder", "TextEncoder"),),
}
"""Code behind injected resources that decides what comes of them."""


@dataclass(frozen=True)
class Choice:
    """A part of the upstream, chosen before the work: only this part is in the identity."""

    choose: View
    """Makes a dataclass of frames and plain values from the inputs; `build` gets it as
    `inputs.view`, and not the tables that it was chosen from."""
    tables: tuple[str, ...] = ()
    """What `choose` may read besides the recipe's own tables."""
    settings: Settings = ()
    """What `choose` may read besides the recipe's own settings. Not in the identity by themselves:
    the view is hashed."""
    versions: Callable[[Any], Mapping[str, str]] | None = None
    """Name → hash of a view; unset, a content hash of each field of the dataclass."""
    sources: Callable[[Any], Mapping[str, str]] | None = None
    """File → content hash of what is read from outside; `Manifest.sources`."""


@dataclass(frozen=True)
class Change:
    """What becomes of a stored table, in place of building it again."""

    rows: pl.DataFrame
    """Whole rows that come, or take the place of those with the same key."""
    removed: pl.DataFrame
    """Keys of rows that go."""
    metrics: Mapping[str, Any]
    """As `build` would give them for the whole table."""


@dataclass(frozen=True)
class Recipe:
    """How one asset is made."""

    build: Build
    """A table: its rows, or (rows, metrics). An artifact: writes files into `inputs.folder`, and
    gives its metrics."""
    writes: Literal["table", "artifact"]
    group: str
    kinds: frozenset[str]
    key: tuple[str, ...] = ()
    """Columns that identify a row of a table."""
    schema: Mapping[str, Any] | None = None
    """Columns of a table; None where they depend on the data (the dimension of a vector)."""
    tables: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    settings: Settings = ()
    """Paths (`section.field`, `section`, `seed`) that the result depends on."""
    resources: tuple[str, ...] = ()
    """Roles of the injected resources that are used."""
    view: Choice | None = None
    guard: Callable[[Inputs], None] | None = None
    """Raises when what is there does not belong together; asked each time, stored or not."""
    guard_settings: tuple[str, ...] = ()
    update: Callable[[Inputs, Manifest], Change | None] | None = None
    """A table that grows: what has come since the stored rows, of which `inputs.before` tells, and
    the manifest of what is wanted; None when it must be built whole. The data version is then of
    the set of rows, whichever way they came, and `describe` gets a `StoredTable`."""
    order: tuple[str, ...] = ()
    """Columns that a table that grows is read in the order of."""
    unversioned: tuple[str, ...] = ()
    """Columns of a table that grows that are in no data version, such as times of arrival."""
    describe: Callable[[Any, Inputs], Mapping[str, Any]] | None = None
    """Metadata from the stored result (rows, or an `Artifact`)."""
    tracked: Callable[[Any], Measures] | None = None
    """Numbers for the user's tracker, from the stored result: no id and no text of a user."""
    describe_tables: tuple[str, ...] = ()
    """Tables that only `describe` reads: titles, for instance."""
    lasting: tuple[str, ...] = ()
    """Inputs of a table whose change alone leaves rows good: `build` then gets those that are
    stored as `inputs.earlier`, and keeps which it will. It may leave some for a later run, and say
    how many by the metric `WAITING`."""
    lineage: bool = False
    """Whether the result tells the fingerprints of its inputs, and so changes with them."""
    keep_workspace: bool = False
    """Whether a table's unfinished work is kept after success."""
    files: tuple[Path, ...] = ()
    """Files that the code reads, such as a template."""

    @property
    def name(self) -> str:
        """Of the asset, and of the table or folder that it writes."""
        return self.build.__name__

    @property
    def description(self) -> str:
        """The docstring."""
        return inspect.getdoc(self.build) or ""

    @property
    def upstream(self) -> tuple[str, ...]:
        """Every asset that is read."""
        chosen = self.view.tables if self.view else ()
        return tuple(dict.fromkeys((*self.tables, *chosen, *self.describe_tables, *self.artifacts)))

    def setting_paths(self, profile: Profile) -> tuple[str, ...]:
        """Settings in the identity."""
        return _paths(self.settings, profile)

    def readable_settings(self, profile: Profile, *, choosing: bool = False) -> tuple[str, ...]:
        """Settings that the functions may read."""
        named = [path for role in self.resources for path in _RESOURCE_SETTINGS.get(role, ())]
        chosen = _paths(self.view.settings, profile) if self.view and choosing else ()
        return (*self.setting_paths(profile), *named, *chosen)

    def settings_read(self, profile: Profile) -> dict[str, Any]:
        """Path → value of every setting that any of the functions may read."""
        paths = (*self.readable_settings(profile, choosing=True), *self.guard_settings)
        return values_at(profile, paths)

    @cached_property
    def code(self) -> dict[str, str]:
        """File → digest of the code that the result comes from."""
        functions: list[Any] = [self.build]
        if self.view:
            functions.append(self.view.choose)
        if self.update:
            functions.append(self.update)
        entries = [(function.__module__, function.__name__) for function in functions]
        nameless = [module for module, name in entries if not name.isidentifier()]
        if nameless:
            raise TypeError(
                f"{self.name!r} is made by a lambda in {nameless[0]}, whose code cannot be found "
                "by its name; write a function"
            )
        for role in self.resources:
            entries += _RESOURCE_CODE.get(role, ())
        return {**code_of(entries), **dict(file_digest(path) for path in self.files)}

    @cached_property
    def code_version(self) -> str:
        """Changes with the code that the result comes from, and only with it."""
        return digest(self.code)

    def sources_of(self, view: Any) -> dict[str, str]:
        """File → content hash of what is read from outside."""
        return dict(self.view.sources(view)) if self.view and self.view.sources else {}

    def view_versions(self, view: Any) -> Mapping[str, str]:
        """Name → content hash of each part of what was chosen."""
        if self.view and self.view.versions:
            return self.view.versions(view)
        return {name: _content(value) for name, value in vars(view).items()}


def table(
    *, group: str, kinds: set[str], key: Sequence[str], **declared: Any
) -> Callable[[Build], Recipe]:
    """The decorated function makes the rows of the DuckDB table of its name; see `Recipe`."""
    return lambda build: Recipe(build, "table", group, frozenset(kinds), key=tuple(key), **declared)


def artifact(*, group: str, kinds: set[str], **declared: Any) -> Callable[[Build], Recipe]:
    """The decorated function writes the folder of its name in the model store; see `Recipe`."""
    return lambda build: Recipe(build, "artifact", group, frozenset(kinds), **declared)


def explain(previous: Manifest | None, now: Manifest) -> str:
    """Why work was done, or not, in words: what differs between two manifests of one asset."""
    if previous is None:
        return "made for the first time"
    waited = previous.metrics.get(WAITING)
    changes = [f"{waited} rows waited"] if waited else []
    changes += [
        f"setting `{path}` {_shown(previous.config, path)} → {_shown(now.config, path)}"
        for path in differing(previous.config, now.config)
    ]
    changes += [f"upstream `{name}` changed" for name in differing(previous.inputs, now.inputs)]
    if previous.code_version != now.code_version:
        files = differing(previous.code, now.code) or ["the asset"]
        changes += [f"code of `{file}` changed" for file in files]
    return "; ".join(changes) or "nothing changed"


def is_finished(recipe: Recipe, stored: Manifest) -> bool:
    """Whether the same inputs leave nothing to do.

    No row of a lasting table waits, and none may hold what an erasure has taken out since.
    """
    return not (recipe.lasting and (stored.metrics.get(WAITING) or stored.erased_from))


def only_changed(before: Manifest, now: Manifest, *names: str) -> bool:
    """Whether nothing but these inputs differs between two manifests of one asset."""
    return (
        before.code_version == now.code_version
        and before.config == now.config
        and set(differing(before.inputs, now.inputs)) <= set(names)
    )


def _paths(settings: Settings, profile: Profile) -> tuple[str, ...]:
    return settings(profile) if callable(settings) else settings


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names that are in one only, or have other values."""
    missing = object()
    return [
        name
        for name in sorted({*before, *after})
        if before.get(name, missing) != after.get(name, missing)
    ]


def _shown(config: Mapping[str, Any], path: str) -> str:
    return str(config[path]) if path in config else "(not there)"


def _content(value: Any) -> str:
    if isinstance(value, pl.DataFrame):
        return content_hash(value, key=value.columns[:1])
    return digest(_plain(value))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
