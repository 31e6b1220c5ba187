"""Is this home sound? Modes, warehouse, models, what runs have left, the disk.

Everything is read: each table is hashed and compared with its manifest, each file of each version
of each model too. Nothing is changed but by `repair`.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from curec_assets.core.growing import hashed_otherwise, version_of
from curec_assets.core.recipe import Recipe
from curec_assets.lifecycle.findings import Finding
from resources.errors import ArtifactError
from resources.storage.model_store import ModelStore
from resources.storage.private import keep_private, not_writable, open_to_others
from resources.storage.warehouse import Warehouse
from resources.storage.warehouse_copy import keep_copy
from resources.storage.warehouse_faults import copy_of

_EVERYTHING = ("*", ".*")
_LEAST_FREE = 1_000_000_000  # bytes
_FIX_IT = "`curec doctor --fix` does it"
_TABLES = "SELECT table_name FROM duckdb_tables() ORDER BY table_name"


def of_storage(
    home: Path, warehouse: Warehouse, store: ModelStore, recipes: Sequence[Recipe]
) -> Iterator[Finding]:
    """Every finding about what is stored, in the order in which it is looked at."""
    yield of_writing(home)
    yield of_modes(home)
    yield of_disk(home, warehouse)
    yield from of_tables(warehouse, [recipe for recipe in recipes if recipe.writes == "table"])
    yield of_copy(warehouse)
    yield from of_models(store, [recipe.name for recipe in recipes if recipe.writes == "artifact"])


def of_writing(home: Path) -> Finding:
    """Whether this process may write what the home holds."""
    refused = not_writable(home)
    if refused is None:
        return Finding("writing", "the home can be written")
    return Finding(
        "writing",
        f"{refused} cannot be written",
        f"make it writable (chmod -R u+w {home}, its owner, the mount), or set CUREC_HOME to a "
        "folder that is",
    )


def of_modes(home: Path) -> Finding:
    """Whether nobody but the owner can read what is stored: it tells who liked what."""
    others = list(open_to_others(home, _EVERYTHING))
    if not others:
        return Finding("modes", "home and files are their owner's alone")
    return Finding(
        "modes",
        f"{len(others)} files and folders are open to others, such as {others[0]}",
        f"chmod -R go= {home}; {_FIX_IT}",
    )


def of_disk(home: Path, warehouse: Warehouse) -> Finding:
    """Whether there is room for what comes, a copy of the warehouse included."""
    file = Path(warehouse.path)
    wanted = max(_LEAST_FREE, 2 * file.stat().st_size if file.exists() else 0)
    free = shutil.disk_usage(home).free
    fix = "" if free >= wanted else f"free {(wanted - free) / 1e9:.1f} GB; `curec prune` may help"
    return Finding("disk", f"{free / 1e9:.1f} GB free", fix)


def of_tables(warehouse: Warehouse, recipes: Sequence[Recipe]) -> Iterator[Finding]:
    """Whether each table holds what its manifest says, row by row."""
    if not Path(warehouse.path).exists():
        yield Finding("warehouse", "nothing is made yet")
        return
    for recipe in recipes:
        what = f"table {recipe.name}"
        try:
            manifest = warehouse.manifest(recipe.name)
            if manifest is None:
                yield Finding(what, "not made yet")
                continue
            rows = warehouse.read(recipe.name)
            found = version_of(recipe, rows)
        except ArtifactError as error:
            yield Finding(what, "cannot be read", str(error))
            continue
        if found == manifest.data_version:
            yield Finding(what, f"{rows.height} rows, as its manifest says")
        elif hashed_otherwise(manifest):
            yield Finding(what, f"{rows.height} rows, hashed by an earlier CURec: not compared")
        else:
            yield Finding(
                what,
                f"content {found}, but its manifest says {manifest.data_version}",
                f'it was changed from outside: DROP TABLE "{recipe.name}" in {warehouse.path} and '
                f"materialise the asset {recipe.name!r} again",
            )


def of_copy(warehouse: Warehouse) -> Finding:
    """Whether there is a good copy to restore the warehouse from."""
    what, copy, file = "copy", copy_of(warehouse.path), Path(warehouse.path)
    if not file.exists():
        return Finding(what, "nothing to copy yet")
    if not copy.exists():
        return Finding(what, "the warehouse has none", f"{_FIX_IT} once the warehouse is sound")
    try:
        with warehouse.model_copy(update={"path": str(copy)}).reading() as connection:
            tables = [name for (name,) in connection.execute(_TABLES).fetchall()]
            for name in tables:
                # A hash of whole rows: a count would not read what it counts.
                connection.execute(f'SELECT bit_xor(hash(row)) FROM "{name}" AS row').fetchall()
    except ArtifactError as error:
        return Finding(what, "damaged", f"{error}. Or make it anew: {_FIX_IT}")
    behind = max(0.0, file.stat().st_mtime - copy.stat().st_mtime)
    age = f", {behind / 3600:.1f} hours older than the warehouse" if behind else ""
    return Finding(what, f"{len(tables)} tables in {copy.name}{age}")


def of_models(store: ModelStore, assets: Sequence[str]) -> Iterator[Finding]:
    """Whether each file of each version of each model is what its manifest says."""
    for asset in assets:
        what, folder = f"model {asset}", Path(store.root) / asset
        versions = [path for path in folder.glob("[!.]*") if path.is_dir()]
        if not versions:
            yield Finding(what, "not made yet")
            continue
        try:
            store.current(asset)
            for version in versions:
                store.find(asset, version.name)
        except ArtifactError as error:
            yield Finding(what, "damaged", str(error))
        else:
            yield Finding(what, f"{len(versions)} versions, each file as its manifest says")


def repair(home: Path, warehouse: Warehouse, findings: Sequence[Finding]) -> Iterator[str]:
    """Do what is safe: close the home to others; renew the copy of a warehouse that is sound."""
    others = len(list(open_to_others(home, _EVERYTHING)))
    if others:
        keep_private(home, _EVERYTHING)
        yield f"{others} files and folders were closed to others"
    tables = [each for each in findings if each.what.startswith("table ")]
    if tables and all(each.sound for each in tables):
        yield f"{keep_copy(warehouse)} was made anew"
