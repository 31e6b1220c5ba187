"""Erasure: a user is taken out of a home, and no file brings the user back.

Rows go from every table and every stored version of every artifact; what was made from them keeps
its place, with the data versions as they are then, so that the reasons of others stay.
Models that were fitted on the user are named until they are trained again. Every step can be
repeated, so the same command goes on after a kill.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from curec_assets.core.growing import version_of, without_rows
from curec_assets.core.inputs import FITS
from curec_assets.core.provenance import digest
from curec_assets.core.recipe import Recipe
from curec_assets.datasets.ledger import current_events
from curec_assets.policy.archive import ARCHIVE
from curec_assets.serving.votes import forget_votes
from curec_assets.serving.writers import BENCHMARK, rung_file
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore, hash_files, rewrite_manifest
from resources.storage.tombstones import bury
from resources.storage.warehouse import Warehouse
from resources.storage.warehouse_copy import compact

_OWNED = ("user_id", "event_id")


@dataclass(frozen=True)
class Forgotten:
    """Whom a home does not know any more."""

    user_id: str
    event_ids: tuple[str, ...]

    def rows_of(self, columns: Sequence[str]) -> pl.Expr | None:
        """Which rows of a table with these columns are the user's; None where none can be."""
        found = [
            pl.col(name).is_in(list(values))
            for name, values in (("user_id", [self.user_id]), ("event_id", self.event_ids))
            if name in columns
        ]
        return pl.any_horizontal(found).fill_null(False) if found else None


def forget(
    user_id: str,
    recipes: Sequence[Recipe],
    warehouse: Warehouse,
    store: ModelStore,
    *,
    fitted: Sequence[str],
) -> Forgotten:
    """Take the user out of tables and artifacts. `fitted`: artifacts that are fitted on events."""
    home = Path(store.root).parent
    tombstone = bury(warehouse, user_id)
    user = Forgotten(user_id, tuple(_event_ids(warehouse, user_id)))
    trained = _of_user(warehouse, "training_snapshot", user, ["event_id"]).height > 0
    _forget_work(store)
    shutil.rmtree(Path(store.root) / FITS, ignore_errors=True)  # the fast lane makes them anew
    for folder in _versions(store):
        _forget_in_folder(folder, user, tombstone if trained else "", fitted)
    _forget_in_benchmark(home / BENCHMARK, user)
    forget_votes(home, warehouse, user.event_ids)  # before the tables, which tell whose they are
    _forget_in_tables(recipes, warehouse, user)
    _repoint(warehouse, store)
    compact(warehouse)
    return user


def tainted(store: ModelStore, names: Sequence[str]) -> list[str]:
    """Artifacts whose current version was fitted on someone who is forgotten."""
    made = [name for name in names if store.current_fingerprint(name)]
    return [name for name in made if store.current(name).manifest.forgotten]


def _event_ids(warehouse: Warehouse, user_id: str) -> list[str]:
    found: set[str] = set()
    for table, columns in warehouse.tables().items():
        if set(_OWNED) <= set(columns):
            keys = pl.DataFrame({"user_id": [user_id]})
            found |= set(warehouse.matching(table, keys, ["event_id"])["event_id"])
    return sorted(found)


def _of_user(warehouse: Warehouse, table: str, user: Forgotten, key: Sequence[str]) -> pl.DataFrame:
    """Rows of a table that are the user's."""
    columns = warehouse.tables().get(table, ())
    parts = [
        warehouse.matching(table, pl.DataFrame({name: list(values)}, {name: pl.Utf8()}))
        for name, values in (("user_id", [user.user_id]), ("event_id", user.event_ids))
        if name in columns
    ]
    return pl.concat(parts).unique(key) if parts else pl.DataFrame()


def _forget_in_tables(recipes: Sequence[Recipe], warehouse: Warehouse, user: Forgotten) -> None:
    ours = {recipe.name for recipe in recipes}
    for table, columns in warehouse.tables().items():
        if table not in ours and set(_OWNED) & set(columns):
            warehouse.drop(table)  # of an earlier CURec; nothing reads it
    events = current_events(_of_user(warehouse, "events", user, ["sequence"])).height
    for recipe in recipes:
        gone = _of_user(warehouse, recipe.name, user, recipe.key)
        manifest = warehouse.manifest(recipe.name)
        if manifest is None or (gone.is_empty() and not recipe.lasting):
            continue
        if manifest.row_sum is None:
            kept = warehouse.read(recipe.name)
            kept = kept.join(gone.select(recipe.key), on=recipe.key, how="anti")
            version = {"data_version": version_of(recipe, kept), "row_count": kept.height}
            now = manifest.model_copy(update=version)
        else:
            now = without_rows(recipe, warehouse, manifest, gone)
        metrics = dict(manifest.metrics)
        if "current" in metrics:
            metrics["current"] -= events
        erased_from = (*manifest.erased_from, manifest.data_version)
        now = now.model_copy(update={"metrics": metrics, "erased_from": erased_from})
        warehouse.change(recipe.name, gone.clear(), gone.select(recipe.key), now)


def _versions(store: ModelStore) -> Iterator[Path]:
    """Folders of all stored versions of all artifacts, current or not."""
    yield from sorted(path.parent for path in Path(store.root).glob("*/[!.]*/manifest.json"))


def _forget_work(store: ModelStore) -> None:
    """Unfinished work: it is begun again."""
    for folder in Path(store.root).glob("*/.*.work"):
        shutil.rmtree(folder)


def _forget_in_folder(folder: Path, user: Forgotten, tombstone: str, fitted: Sequence[str]) -> None:
    manifest = _manifest_at(folder)
    if manifest.asset == "quality_report":  # it shows people: made again from what is left
        shutil.rmtree(folder)
        return
    for left in folder.rglob(".*"):  # by an erasure that was killed
        left.unlink()
    for file in folder.rglob("*.parquet"):
        rows = pl.read_parquet(file)
        theirs = user.rows_of(rows.columns)
        if theirs is not None and rows.select(theirs.any()).item():
            if manifest.asset == ARCHIVE:  # one cannot go back to tables that are not its own
                shutil.rmtree(folder)
                return
            temporary = _beside(file)
            rows.filter(~theirs).write_parquet(temporary)
            temporary.replace(file)
    for file in folder.rglob("*.json"):
        if file == folder / "manifest.json":
            continue
        values = json.loads(file.read_text("utf-8"))
        kept = _without(values, user.user_id)
        if kept != values:
            temporary = _beside(file)
            temporary.write_text(json.dumps(kept, ensure_ascii=False, sort_keys=True), "utf-8")
            temporary.replace(file)
    files = hash_files(folder)
    changed: dict[str, Any] = {}
    if (metrics := _without(manifest.metrics, user.user_id)) != manifest.metrics:
        changed["metrics"] = metrics
    if files != manifest.files:
        changed |= {
            "files": files,
            "data_version": digest(files),
            "erased_from": (*manifest.erased_from, manifest.data_version),
        }
    if tombstone and manifest.asset in fitted and tombstone not in manifest.forgotten:
        changed["forgotten"] = (*manifest.forgotten, tombstone)
    if changed:
        rewrite_manifest(folder, manifest.model_copy(update=changed))


def _forget_in_benchmark(folder: Path, user: Forgotten) -> None:
    """Texts of the rungs lose the user's; shards of walks go whole and are walked again."""
    for left in folder.rglob(".*"):  # by something that was killed
        left.unlink()
    for file in folder.rglob("*.parquet"):
        rows = pl.read_parquet(file)
        theirs = user.rows_of(rows.columns)
        if theirs is None or not rows.select(theirs.any()).item():
            continue
        if file.parent != rung_file(folder.parent, "").parent:
            file.unlink()
            continue
        temporary = _beside(file)
        rows.filter(~theirs).write_parquet(temporary)
        temporary.replace(file)


def _without(values: Any, user_id: str) -> Any:
    """JSON without the entries of lists that are of a user."""
    if isinstance(values, dict):
        return {name: _without(value, user_id) for name, value in values.items()}
    if isinstance(values, list):
        return [
            _without(value, user_id)
            for value in values
            if not (isinstance(value, dict) and value.get("user_id") == user_id)
        ]
    return values


def _beside(file: Path) -> Path:
    return file.with_name(f".{file.name}.{os.getpid()}")


def _repoint(warehouse: Warehouse, store: ModelStore) -> None:
    """Let every manifest name its inputs' data versions as they are after erasure."""
    artifacts = {folder: _manifest_at(folder) for folder in _versions(store)}
    tables = warehouse.manifests()
    now = {
        old: manifest.data_version
        for manifest in (*artifacts.values(), *tables)
        for old in manifest.erased_from
    }
    for folder, manifest in artifacts.items():
        inputs = _renamed(manifest.inputs, now)
        if inputs != manifest.inputs:
            rewrite_manifest(folder, manifest.model_copy(update={"inputs": inputs}))
    changed = [
        manifest.model_copy(update={"inputs": _renamed(manifest.inputs, now)})
        for manifest in tables
    ]
    warehouse.record(changed)


def _renamed(inputs: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Inputs with the versions of `now`; a version may follow a fingerprint."""
    return {
        name: " ".join(now.get(part, part) for part in version.split(" "))
        for name, version in inputs.items()
    }


def _manifest_at(folder: Path) -> Manifest:
    return Manifest.from_text((folder / "manifest.json").read_text("utf-8"))
