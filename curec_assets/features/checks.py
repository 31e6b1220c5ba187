"""Checks of the features stage."""

import dagster as dg

from resources.storage.warehouse import Warehouse

_TOLERANCE = 1e-3


@dg.asset_check(
    asset="item_embeddings",
    blocking=True,
    description="One finite vector per item, of length 1 (0 where there is no text).",
)
def item_vectors_are_valid(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Compares with the items table."""
    return _valid(warehouse, "item_embeddings", "items", "item_id", "text")


@dg.asset_check(
    asset="reason_embeddings",
    blocking=True,
    description="One finite vector per reason, of length 1 (0 where there is no text).",
)
def reason_vectors_are_valid(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Compares with the reasons table."""
    return _valid(warehouse, "reason_embeddings", "recommendation_reasons", "event_id", "reason")


def _valid(
    warehouse: Warehouse, table: str, source: str, key: str, text: str
) -> dg.AssetCheckResult:
    import numpy as np

    rows = warehouse.read(table, [key, "embedding"])
    source_rows = warehouse.read(source, [key, text])
    wanted = source_rows[key]
    # Vectors must be zero exactly where there is no text.
    empty = set(wanted.filter(source_rows[text].fill_null("").str.strip_chars() == ""))
    vectors = rows["embedding"].to_numpy()
    lengths = np.linalg.norm(vectors, axis=1)
    expected = np.array([0.0 if row in empty else 1.0 for row in rows[key]])
    odd = int((np.abs(lengths - expected) > _TOLERANCE).sum())
    finite = bool(np.isfinite(vectors).all())
    same = rows[key].is_unique().all() and set(rows[key]) == set(wanted)
    return dg.AssetCheckResult(
        passed=bool(same and finite and not odd),
        metadata={"vectors": rows.height, "wanted": len(wanted), "odd_lengths": odd},
    )
