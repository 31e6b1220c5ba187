"""Recommending in two stages: retrievers propose, the learned ranker orders what they proposed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.recommender.two_stage import TwoStage

Probabilities = Callable[[pl.DataFrame], npt.NDArray[np.floating]]
"""user_id, item_id, timestamp → the recommender's probability of a like, row by row."""


def recommend(
    users: Sequence[str],
    *,
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    item_embeddings: pl.DataFrame,
    ranking_folder: Path,
    top_k: int,
    considered: int,
    least_probability: float,
    probabilities: Probabilities,
) -> pl.DataFrame:
    """`user_id, rank, item_id, score`: each user's best `top_k` unseen items, as of now.

    Now is one second after the latest interaction. The ranker orders its best `considered` items;
    those that are less likely to be liked than `least_probability` come after all others. `score`
    is what `probabilities` says of the item, so it need not fall with rank. Users in the given
    order; one without history gets what is popular. Raises `ArtifactError` when the stored ranking
    cannot be read.
    """
    ranking = TwoStage.load(ranking_folder, interactions, items, item_embeddings)
    latest = interactions["timestamp"].max()
    now = int(latest) + 1 if isinstance(latest, int) else 0
    queries = pl.DataFrame({"user_id": list(users)}, schema={"user_id": pl.String}).with_columns(
        timestamp=pl.lit(max(now, ranking.tables.before), dtype=pl.Int64)
    )
    shown = ranking.rank(queries, max(considered, top_k))
    asked = shown.select("user_id", "item_id", "timestamp")
    return (
        shown.with_columns(score=pl.Series(probabilities(asked), dtype=pl.Float64))
        .with_columns(doubtful=pl.col("score") < least_probability)
        .sort("query", "doubtful", "rank")
        .with_columns(rank=pl.int_range(1, pl.len() + 1).over("query"))
        .filter(pl.col("rank") <= top_k)
        .select("user_id", "rank", "item_id", "score")
    )
