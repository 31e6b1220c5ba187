"""The policy archive: all that belongs to one policy, so that it can be taken up again.

A *generation* is what `retrain` makes together. Its models stay in the model store, but its tables
are replaced by those of the next one. An archive is a folder of the model store: each table as
`<table>/rows.parquet` with its `manifest.json` as it was; the archive's own manifest names every
member, models among them, by fingerprint and data version.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import polars as pl

from resources.errors import ArtifactError
from resources.storage.manifest import Manifest
from resources.storage.model_store import Artifact, ModelStore
from resources.storage.warehouse import Warehouse

ARCHIVE = "policy_archive"
TABLES = (
    "training_snapshot",
    "event_splits",
    "evidence_numbers",
    "event_evidence",
    "alignment_corpus",
    "draft_reasons",
)
MODELS = ("evidence_model", "aligned_llm", "reward_model", "reason_policy")

Version = tuple[str, str]
"""Fingerprint and data version."""

_ROWS = "rows.parquet"
_MANIFEST = "manifest.json"
_UNFINISHED = ".unfinished-switch"


def write_archive(folder: Path, tables: Iterable[tuple[pl.DataFrame, Manifest]]) -> None:
    """Store the tables of a generation, one at a time."""
    for rows, manifest in tables:
        place = folder / manifest.asset
        place.mkdir()
        rows.write_parquet(place / _ROWS)
        (place / _MANIFEST).write_text(manifest.to_text(), encoding="utf-8")


def archived_manifest(archive: Path, table: str) -> Manifest:
    """How an archived table was made. Raises `ArtifactError` when that cannot be read."""
    file = archive / table / _MANIFEST
    try:
        return Manifest.from_text(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise ArtifactError(
            f"{file} is missing or damaged ({error}), so this policy cannot be taken up again; "
            "restore the file from a backup, or use another policy"
        ) from error


def archived_rows(archive: Path) -> Iterator[tuple[str, pl.DataFrame, Manifest]]:
    """Name, rows and manifest of each table, one at a time."""
    for table in TABLES:
        yield table, pl.read_parquet(archive / table / _ROWS), archived_manifest(archive, table)


def members(archive: Manifest) -> Mapping[str, Version]:
    """Asset → version of everything that belongs to an archived policy."""
    found = {}
    for name, version in archive.inputs.items():
        fingerprint, _, data_version = version.partition(" ")
        found[name] = (fingerprint, data_version)
    return found


def present_members(warehouse: Warehouse, store: ModelStore) -> Mapping[str, Version]:
    """Asset → version of what a generation is made of, as it is now; what is missing is left out.

    The files of models are not looked at.
    """
    found = {}
    for name in TABLES:
        manifest = warehouse.manifest(name)
        if manifest:
            found[name] = (manifest.fingerprint, manifest.data_version)
    for name in MODELS:
        current = store.current_fingerprint(name)
        for each in store.versions(name):
            if each.fingerprint == current:
                found[name] = (each.fingerprint, each.data_version)
    return found


def archived_models(archive: Manifest, store: ModelStore) -> Mapping[str, Artifact]:
    """Name → model of an archived policy, verified.

    Raises `ArtifactError` when one is damaged, or no longer in the store.
    """
    found = {}
    for name in MODELS:
        fingerprint, _ = members(archive)[name]
        model = store.find(name, fingerprint)
        if model is None:
            raise ArtifactError(
                f"{name!r} {fingerprint}, which belongs to policy {archive.fingerprint}, is not in "
                f"the model store {store.root}; restore it from a backup, or use another policy"
            )
        found[name] = model
    return found


def require_one_generation(manifests: Mapping[str, Manifest]) -> None:
    """Refuse members that were not made from each other. Raises `ArtifactError`."""
    for manifest in manifests.values():
        for name, version in manifest.inputs.items():
            if name in manifests and manifests[name].data_version != version:
                raise ArtifactError(
                    f"{manifest.asset!r} {manifest.fingerprint} was made from {name!r} {version}, "
                    f"but {name!r} is now {manifests[name].data_version}: this is no whole "
                    "generation to keep. Run the job `retrain` to its end"
                )


def begin_switch(store: ModelStore, policy: str) -> None:
    """Note that tables and models are being re-pointed to a policy, until `end_switch`."""
    note = Path(store.root) / ARCHIVE / _UNFINISHED
    temporary = note.with_name(f"{_UNFINISHED}.{os.getpid()}")
    temporary.write_text(policy, encoding="utf-8")
    temporary.replace(note)


def end_switch(store: ModelStore) -> None:
    """Everything is of one generation again."""
    (Path(store.root) / ARCHIVE / _UNFINISHED).unlink(missing_ok=True)


def unfinished_switch(store: Path) -> str | None:
    """The policy to which everything was being re-pointed when that was interrupted.

    `store`: the model store's folder.
    """
    try:
        return (store / ARCHIVE / _UNFINISHED).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
