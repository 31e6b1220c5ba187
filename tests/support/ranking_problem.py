"""A small problem of ranking with a known answer: everybody goes through the items in one order."""

from pathlib import Path

import numpy as np
import polars as pl

from curec_assets.recommender.ranking import build_ranking
from curec_assets.recommender.two_stage import TwoStage
from curec_assets.settings import RankingSettings
from tests.retrieval.conftest import catalogue, embeddings

SMALL = RankingSettings(wide=6, narrow=4, candidates=8, negatives=4, rounds=20, patience=5)
IDS = [f"i{number:02}" for number in range(24)]


def log_of(users: int, per_user: int, *, liked: bool = True, seed: int = 1) -> pl.DataFrame:
    """Events in time order, 70/15/15; everybody begins at a place of their own."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), per_user)
    step = np.tile(np.arange(per_user), users)
    item = (rng.integers(0, len(IDS), users)[user] + step) % len(IDS)
    log = pl.DataFrame(
        {
            "event_id": [f"e{number:05}" for number in range(len(user))],
            "user_id": [f"u{number}" for number in user],
            "item_id": [IDS[number] for number in item],
            "rating": 5.0 if liked else 1.0,
            "liked": np.full(len(user), liked),
            "timestamp": user * 500 + step * 60,
        }
    ).sort("timestamp", "event_id")
    share = pl.int_range(pl.len()) / pl.len()
    split = pl.when(share < 0.7).then(pl.lit("train")).when(share < 0.85)
    return log.with_columns(split=split.then(pl.lit("validation")).otherwise(pl.lit("test")))


def build(folder: Path, log: pl.DataFrame, *, told: bool = True) -> pl.DataFrame:
    """The ranks of what was built into the folder; `told` unset: without text and attributes."""
    items = catalogue(IDS, told=told)
    build_ranking(folder, log, items, embeddings(IDS), settings=SMALL, seed=3)
    return pl.read_parquet(folder / "ranks.parquet")


def load(folder: Path, log: pl.DataFrame) -> TwoStage:
    """What was built, over a log."""
    return TwoStage.load(folder, log, catalogue(IDS), embeddings(IDS))
