"""Building the artifact `baseline_recommenders`: what is fitted and its outputs."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.datasets.schema import OBSERVED
from curec_assets.evaluation.metrics import ndcg
from curec_assets.recommender.logistic_regression import preference_predictions, save_weights
from curec_assets.recommender.statistics import Smoothing, item_attributes, running_statistics
from curec_assets.retrieval.candidates import full_ranks, ranked_events
from curec_assets.retrieval.content import Content
from curec_assets.retrieval.item_scorers import Floats, ItemScorers
from curec_assets.retrieval.timeline import Timeline
from curec_assets.settings import RankingSettings, RecommenderSettings

RETRIEVERS = ("popularity", "item_mean", "item_knn", "ease")
Scorer = Callable[[Floats], npt.NDArray[np.floating]]


def build_baselines(
    folder: Path,
    events: pl.DataFrame,
    items: pl.DataFrame,
    item_embeddings: pl.DataFrame,
    *,
    settings: RecommenderSettings,
    ranking: RankingSettings,
    seed: int,
    log: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any]:
    """Fit on the train split, predict validation and test.

    EASE's L2, and the weight of text beside it in the peer `ease_text`, are chosen on validation.

    Files: `retrievers.*`, `running_statistics.json`, `predictions.parquet` (`event_id, recommender,
    split, probability`) and `ranks.parquet` (`event_id, recommender, split, rank`).
    """
    observed = events.filter(OBSERVED)
    training = observed.filter(pl.col("split") == "train")
    validation = ranked_events(events, "validation", ranking.ranked_events, seed)
    fitted: dict[float, ItemScorers] = {}
    curve: dict[float, float] = {}
    for l2 in settings.ease_l2:
        fitted[l2] = ItemScorers.fit(
            training,
            items["item_id"].to_list(),
            l2=l2,
            ease_items=settings.ease_items,
            smoothing=settings.smoothing,
            neighbours=ranking.neighbours,
        )
        curve[l2] = _gain(fitted[l2], partial(fitted[l2].scores, "ease"), observed, validation)
        log(f"EASE with L2 {l2:g}: validation NDCG@10 {curve[l2]:.4f}")
    retrievers = fitted[max(curve, key=lambda l2: curve[l2])]
    retrievers.save(folder)
    scorers: dict[str, Scorer] = {name: partial(retrievers.scores, name) for name in RETRIEVERS}
    content = Content.make(Timeline(training, retrievers.item_ids), items, item_embeddings)
    text_curve = {}
    for weight in ranking.text_weights:
        with_text = _with_text(retrievers, content, weight)
        text_curve[weight] = _gain(retrievers, with_text, observed, validation)
    text_weight = max(text_curve, key=lambda weight: text_curve[weight])
    scorers["ease_text"] = _with_text(retrievers, content, text_weight)
    ranks = [
        asked.select("event_id", pl.lit(name).alias("recommender"), "split").with_columns(
            rank=pl.Series(full_ranks(retrievers, score, observed, asked), dtype=pl.Float32)
        )
        for asked in (validation, ranked_events(events, "test", ranking.ranked_events, seed))
        for name, score in scorers.items()
    ]
    pl.concat(ranks).write_parquet(folder / "ranks.parquet")
    statistics = running_statistics(
        events,
        item_attributes(items),
        events,
        Smoothing(settings.smoothing, settings.recent_half_life),
    )
    predictions, weights = preference_predictions(events, statistics)
    predictions.write_parquet(folder / "predictions.parquet")
    save_weights(folder, weights)
    return {
        "l2": retrievers.l2,
        "validation_ndcg": {f"{l2:g}": value for l2, value in curve.items()},
        "text_weight": text_weight,
        "items_known_to_ease": int(np.size(retrievers.known)),
    }


def _gain(
    retrievers: ItemScorers, score: Scorer, events: pl.DataFrame, asked: pl.DataFrame
) -> float:
    """NDCG@10; 0 without any event."""
    gains = ndcg(full_ranks(retrievers, score, events, asked))
    return float(gains.mean()) if gains.size else 0.0


def _with_text(retrievers: ItemScorers, content: Content, weight: float) -> Scorer:
    """EASE plus the cosine between an item's text and the mean text of what was liked."""

    def score(liked: Floats) -> npt.NDArray[np.floating]:
        return retrievers.scores("ease", liked) + weight * content.text_scores(liked)

    return score
