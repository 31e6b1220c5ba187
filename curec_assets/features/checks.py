"""Checks of the features stage."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from resources.storage.warehouse import Warehouse

_TOLERANCE = 1e-3


@dg.asset_check(
    asset="item_embeddings",
    blocking=True,
    description="One finite vector per item, of length 1 (0 where there is no text).",
)
def item_vectors_are_valid(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Compares with the items table."""
    return _valid(warehouse, "item_embeddings", "items", "item_id", {"embedding": "text"})


@dg.asset_check(
    asset="reason_embeddings",
    blocking=True,
    description="Two finite vectors per reason, of its verdict and its why, of length 1 (0 where "
    "there is no text), and its level.",
)
def reason_vectors_are_valid(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Compares with the reasons table."""
    vectors = {"verdict_embedding": "verdict", "why_embedding": "why"}
    found = _valid(warehouse, "reason_embeddings", "recommendation_reasons", "event_id", vectors)
    levels, stored = (
        dict(warehouse.read(table, ["event_id", "level"]).iter_rows())
        for table in ("recommendation_reasons", "reason_embeddings")
    )
    return dg.AssetCheckResult(passed=found.passed and levels == stored, metadata=found.metadata)


def _valid(
    warehouse: Warehouse, table: str, source: str, key: str, vectors: Mapping[str, str]
) -> dg.AssetCheckResult:
    """`vectors`: column of `table` → the text of `source` that it embeds."""
    rows = warehouse.read(table, [key, *vectors])
    sources = warehouse.read(source, [key, *vectors.values()])
    wanted = sources[key]
    odd = sum(_odd(rows, key, vector, sources, text) for vector, text in vectors.items())
    same = rows[key].is_unique().all() and set(rows[key]) == set(wanted)
    return dg.AssetCheckResult(
        passed=bool(same and not odd),
        metadata={"rows": rows.height, "wanted": len(wanted), "odd_vectors": odd},
    )


def _odd(rows: pl.DataFrame, key: str, vector: str, sources: pl.DataFrame, text: str) -> int:
    """How many vectors are not finite, or not of length 1, and 0 just where there is no text."""
    import numpy as np

    blank = sources[text].fill_null("").str.strip_chars() == ""
    empty = set(sources[key].filter(blank))
    lengths = np.linalg.norm(rows[vector].to_numpy(), axis=1)
    expected = np.array([0.0 if row in empty else 1.0 for row in rows[key]])
    return int((~(np.abs(lengths - expected) <= _TOLERANCE)).sum())
