"""Checks of the features stage."""

import dagster as dg
import numpy as np

from resources.warehouse import Warehouse

_TOLERANCE = 1e-3


@dg.asset_check(
    asset="item_embeddings",
    blocking=True,
    description="One finite vector per item, of length 1 or (no text) 0.",
)
def item_vectors_are_valid(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Compares with the items table."""
    return _valid(warehouse, "item_embeddings", "items", "item_id")


@dg.asset_check(
    asset="reason_embeddings",
    blocking=True,
    description="One finite vector per reason, of length 1.",
)
def reason_vectors_are_valid(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Compares with the reasons table."""
    return _valid(warehouse, "reason_embeddings", "recommendation_reasons", "event_id")


def _valid(warehouse: Warehouse, table: str, source: str, key: str) -> dg.AssetCheckResult:
    rows = warehouse.read(table, [key, "embedding"])
    wanted = warehouse.read(source, [key])[key]
    vectors = rows["embedding"].to_numpy()
    lengths = np.linalg.norm(vectors, axis=1)
    odd = int(((np.abs(lengths - 1.0) > _TOLERANCE) & (lengths != 0.0)).sum())
    finite = bool(np.isfinite(vectors).all())
    same = rows[key].is_unique().all() and set(rows[key]) == set(wanted)
    return dg.AssetCheckResult(
        passed=bool(same and finite and not odd),
        metadata={"vectors": rows.height, "wanted": len(wanted), "odd_lengths": odd},
    )
