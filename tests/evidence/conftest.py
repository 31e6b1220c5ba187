"""A small log, its items, and what reads evidence of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curec_assets.evidence.numbers import EvidenceNumbers
from curec_assets.settings import EvidenceSettings
from tests.support.made_up_opinions import made_up_opinions

SETTINGS = EvidenceSettings()
Read = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def history() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Events of 60 users with 40 items, in no order of names; items; embeddings."""
    rng = np.random.default_rng(3)
    pairs = rng.permutation(60 * 40)[:1800]
    events = pl.DataFrame(
        {
            "user_id": [f"u{pair // 40 * 7 % 60}" for pair in pairs],
            "item_id": [f"i{pair % 40 * 11 % 40}" for pair in pairs],
            "timestamp": np.sort(rng.integers(1_000_000, 2_000_000, len(pairs))),
            "rating": rng.integers(1, 6, len(pairs)).astype(float),
            "opinions": made_up_opinions(rng, len(pairs)),
        }
    ).with_columns(liked=pl.col("rating") >= 4)
    names = events["item_id"].unique().sort()
    items = pl.DataFrame(
        {"item_id": names, "year": 1990},
        schema_overrides={"year": pl.Int64},
    ).with_columns(
        attributes=pl.lit([], pl.List(pl.Struct({"kind": pl.String, "value": pl.String})))
    )
    vectors = rng.normal(size=(len(names), 8)).astype(np.float32)
    embeddings = pl.DataFrame(
        {"item_id": names, "embedding": pl.Series(vectors, dtype=pl.Array(pl.Float32, 8))}
    )
    return events, items, embeddings


@pytest.fixture(scope="session")
def read(history: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]) -> Read:
    _, items, embeddings = history

    def numbers(
        known: pl.DataFrame,
        asked: pl.DataFrame,
        fits: Path | None = None,
        chosen: EvidenceSettings = SETTINGS,
    ) -> pl.DataFrame:
        return EvidenceNumbers(known, items, embeddings, chosen, 3, fits=fits).read(asked)

    return numbers
