"""Recommending in two stages: the retriever proposes, the ranker orders what it proposed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from curec_assets.datasets.histories import histories_at
from curec_assets.recommender.ranker import Ranker, combined, proposal_examples
from curec_assets.retrieval.candidates import propose
from curec_assets.retrieval.item_scorers import Retrievers


def recommend(
    users: Sequence[str],
    *,
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    item_embeddings: pl.DataFrame,
    baseline_folder: Path,
    recommender_folder: Path,
    candidates: int,
    top_k: int,
    device: str = "cpu",
) -> pl.DataFrame:
    """`user_id, rank, item_id, score`: each user's best `top_k` unseen items, as of now.

    Now is one second after the latest interaction. `score` is the ranker's probability that the
    user likes the item, without a reason: reasons are written only for what is shown. The order is
    that of the evaluation (`ranker.combined`), so scores need not fall with rank. Users in the
    given order; one without history gets what is popular and liked. Raises `ArtifactError` when
    the stored models cannot be read or do not fit the embeddings.
    """
    retrievers, ranker = Retrievers.load(baseline_folder), Ranker.load(recommender_folder)
    catalogue = ranker.catalogue(item_embeddings)
    latest = interactions["timestamp"].max()
    now = int(latest) + 1 if isinstance(latest, int) else 0
    queries = pl.DataFrame({"user_id": list(users)}, schema={"user_id": pl.String}).with_columns(
        timestamp=pl.lit(now, dtype=pl.Int64)
    )
    proposals = propose(retrievers, interactions, queries, candidates)
    examples = proposal_examples(
        proposals,
        queries,
        item_ids=retrievers.item_ids,
        log=interactions,
        items=items,
        histories=histories_at(interactions, list(users), now, ranker.length),
        catalogue=catalogue,
        length=ranker.length,
        scale=ranker.scale,
    )
    probabilities = ranker.probabilities(examples, catalogue, device)
    ordered = combined(probabilities, proposals, ranker.retriever_weight)
    best = np.argsort(-ordered, axis=1, kind="stable")[:, :top_k]
    shown = np.isfinite(np.take_along_axis(ordered, best, axis=1))
    shape = proposals.items.shape
    query, place = np.nonzero(shown)
    chosen = best[query, place]
    return pl.DataFrame(
        {
            "user_id": queries["user_id"].gather(query),
            "rank": place.astype(np.int64) + 1,
            "item_id": pl.Series(retrievers.item_ids, dtype=pl.String).gather(
                proposals.items[query, chosen]
            ),
            "score": probabilities.reshape(shape)[query, chosen],
        }
    )
