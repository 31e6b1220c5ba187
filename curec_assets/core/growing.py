"""Tables that grow: how what has come is put into what is stored, and what it is known by then.

Their data version is of the set of rows, so one that was advanced change by change is that of one
that was built whole.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import polars as pl

from curec_assets.core.provenance import advanced, content_hash, row_sum, version_of_rows
from curec_assets.core.recipe import Change, Recipe
from resources.storage.manifest import Manifest
from resources.storage.warehouse import Warehouse

_HASH = "md5:"
"""How rows are hashed: before a sum of their hashes."""


def write_whole(
    recipe: Recipe,
    warehouse: Warehouse,
    wanted: Manifest,
    rows: pl.DataFrame,
    metrics: Mapping[str, Any],
) -> Manifest:
    """Store rows in the place of all others; gives the manifest, with the seconds of `wanted`."""
    manifest = _manifest(
        recipe, wanted, rows.height, row_sum(rows.drop(recipe.unversioned)), uuid4().hex
    ).model_copy(update={"metrics": dict(metrics)})
    warehouse.write(recipe.name, rows, manifest)
    return manifest


def write_change(
    recipe: Recipe, warehouse: Warehouse, wanted: Manifest, before: Manifest, change: Change
) -> Manifest:
    """Store a change of the rows of `before`, and only that."""
    keys = pl.concat([change.removed, change.rows.select(recipe.key)])
    gone = warehouse.matching(recipe.name, keys)
    total = advanced(
        _total(recipe, warehouse, before),
        come=change.rows.drop(recipe.unversioned),
        gone=gone.drop(recipe.unversioned),
    )
    rows = (before.row_count or 0) - gone.height + change.rows.height
    manifest = _manifest(recipe, wanted, rows, total, before.generation).model_copy(
        update={"metrics": dict(change.metrics)}
    )
    warehouse.change(recipe.name, change.rows, change.removed, manifest)
    return manifest


def version_of(recipe: Recipe, rows: pl.DataFrame) -> str:
    """The data version of a table that holds these rows, whether it grows or not."""
    if recipe.update is None:
        return content_hash(rows, key=recipe.key)
    total = row_sum(rows.drop(recipe.unversioned))
    return version_of_rows(recipe.schema or {}, rows.height, total)


def without_rows(
    recipe: Recipe, warehouse: Warehouse, before: Manifest, gone: pl.DataFrame
) -> Manifest:
    """The manifest of a table that grows after rows are taken out of it, which are still there."""
    gone = gone.drop(recipe.unversioned)
    total = advanced(_total(recipe, warehouse, before), come=gone.clear(), gone=gone)
    rows = (before.row_count or 0) - gone.height
    return _manifest(recipe, before, rows, total, before.generation)


def hashed_otherwise(manifest: Manifest) -> bool:
    """Whether an earlier CURec hashed the rows of this table, in another way.

    Its version is compared with none of today's; the next change of the table brings it up to date.
    """
    return not (manifest.row_sum or _HASH).startswith(_HASH)


def _total(recipe: Recipe, warehouse: Warehouse, before: Manifest) -> int:
    if hashed_otherwise(before):
        return row_sum(warehouse.read(recipe.name).drop(recipe.unversioned))
    return int((before.row_sum or "0").removeprefix(_HASH), 16)


def _manifest(recipe: Recipe, wanted: Manifest, rows: int, total: int, generation: str) -> Manifest:
    return wanted.model_copy(
        update={
            "data_version": version_of_rows(recipe.schema or {}, rows, total),
            "row_count": rows,
            "row_sum": f"{_HASH}{total:032x}",
            "generation": generation,
            "order": recipe.order,
            "created_at": datetime.now(UTC),
        }
    )
