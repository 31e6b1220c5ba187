"""Building the artifact `baseline_recommenders`: what is fitted and its outputs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curec_assets.evaluation.metrics import ndcg
from curec_assets.recommender.logistic_regression import preference_predictions, save_weights
from curec_assets.recommender.statistics import Smoothing, item_attributes, running_statistics
from curec_assets.retrieval.candidates import full_ranks, ranked_events
from curec_assets.retrieval.item_scorers import ItemScorers
from curec_assets.settings import RecommenderSettings

RETRIEVERS = ("popularity", "item_mean", "ease")


def build_baselines(
    folder: Path,
    events: pl.DataFrame,
    items: pl.DataFrame,
    *,
    settings: RecommenderSettings,
    seed: int,
    log: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any]:
    """Fit on the train split, choose EASE's L2 on validation, predict validation and test.

    Files: `retrievers.*`, `running_statistics.json`, `predictions.parquet` (`event_id, recommender,
    split, probability`) and `ranks.parquet` (`event_id, recommender, split, rank`).
    """
    training = events.filter(pl.col("split") == "train")
    validation = ranked_events(events, "validation", settings.ranked_events, seed)
    fitted: dict[float, ItemScorers] = {}
    curve: dict[float, float] = {}
    for l2 in settings.ease_l2:
        fitted[l2] = ItemScorers.fit(
            training,
            items["item_id"].to_list(),
            l2=l2,
            ease_items=settings.ease_items,
            smoothing=settings.smoothing,
        )
        gains = ndcg(full_ranks(fitted[l2], "ease", events, validation))
        curve[l2] = float(gains.mean()) if gains.size else 0.0
        log(f"EASE with L2 {l2:g}: validation NDCG@10 {curve[l2]:.4f}")
    retrievers = fitted[max(curve, key=lambda l2: curve[l2])]
    retrievers.save(folder)
    ranks = [
        asked.select("event_id", pl.lit(name).alias("recommender"), "split").with_columns(
            rank=pl.Series(full_ranks(retrievers, name, events, asked), dtype=pl.Float32)
        )
        for asked in (validation, ranked_events(events, "test", settings.ranked_events, seed))
        for name in RETRIEVERS
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
        "items_known_to_ease": int(np.size(retrievers.known)),
    }
