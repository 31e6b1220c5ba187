"""Recommending in two stages: the retriever proposes, the ranker orders what it proposed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from curec_assets.datasets.histories import histories_at
from curec_assets.recommender.ranker import Ranker
from curec_assets.recommender.ranking import retriever_weight
from curec_assets.recommender.two_stage import Proposed, combined
from curec_assets.retrieval.item_scorers import ItemScorers


def recommend(
    users: Sequence[str],
    *,
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    item_embeddings: pl.DataFrame,
    baseline_folder: Path,
    recommender_folder: Path,
    ranking_folder: Path,
    candidates: int,
    top_k: int,
    device: str = "cpu",
) -> pl.DataFrame:
    """`user_id, rank, item_id, score`: each user's best `top_k` unseen items, as of now.

    Now is one second after the latest interaction. `score` is the ranker's probability that the
    user likes the item, without a reason: reasons are written only for what is shown. The order is
    that of the evaluation (`two_stage.combined`), so scores need not fall with rank. Users in the
    given order; one without history gets what is popular and liked. Raises `ArtifactError` when
    the stored models cannot be read or do not fit the embeddings.
    """
    retrievers, ranker = ItemScorers.load(baseline_folder), Ranker.load(recommender_folder)
    latest = interactions["timestamp"].max()
    now = int(latest) + 1 if isinstance(latest, int) else 0
    queries = pl.DataFrame({"user_id": list(users)}, schema={"user_id": pl.String}).with_columns(
        timestamp=pl.lit(now, dtype=pl.Int64)
    )
    proposed = Proposed.make(
        queries,
        histories_at(interactions, list(users), now, ranker.form.length),
        retrievers,
        ranker,
        log=interactions,
        items=items,
        item_embeddings=item_embeddings,
        candidates=candidates,
    )
    proposals = proposed.proposals
    probabilities = proposed.served_probabilities(ranker, device)
    ordered = combined(probabilities, proposals, retriever_weight(ranking_folder))
    best = np.argsort(-ordered, axis=1, kind="stable")[:, :top_k]
    shown = np.isfinite(np.take_along_axis(ordered, best, axis=1))
    shape = proposals.items.shape
    query, position = np.nonzero(shown)
    chosen = best[query, position]
    return pl.DataFrame(
        {
            "user_id": queries["user_id"].gather(query),
            "rank": position.astype(np.int64) + 1,
            "item_id": pl.Series(retrievers.item_ids, dtype=pl.String).gather(
                proposals.items[query, chosen]
            ),
            "score": probabilities.reshape(shape)[query, chosen],
        }
    )
