"""Preference baselines on running statistics: the item's mean, and a logistic regression."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.recommender.statistics import FEATURES

_MAX_ITERATIONS = 1000


def preference_predictions(
    events: pl.DataFrame, statistics: pl.DataFrame
) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """Probabilities for validation and test events, and the fitted coefficients.

    `statistics`: `FEATURES` of each event. Rows: `event_id, recommender, split, probability`, for
    `item_mean` (smoothed running like rate) and `running_statistics` (logistic regression).
    """
    from sklearn.linear_model import LogisticRegression

    features = statistics.select(FEATURES).to_numpy().astype(np.float64)
    train = (events["split"] == "train").to_numpy()
    mean, spread = features[train].mean(axis=0), features[train].std(axis=0)
    scaled = (features - mean) / np.where(spread > 0, spread, 1.0)
    liked = events["liked"].to_numpy()
    if liked[train].all() or not liked[train].any():
        fitted = np.full(events.height, liked[train].mean())
        weights: npt.NDArray[np.float64] = np.zeros(len(FEATURES))
    else:
        model = LogisticRegression(max_iter=_MAX_ITERATIONS).fit(scaled[train], liked[train])
        fitted, weights = model.predict_proba(scaled)[:, 1], model.coef_[0]
    held_out = events.select("event_id", "split").with_columns(
        item_mean=statistics["item_like_rate"].cast(pl.Float64),
        running_statistics=pl.Series(fitted),
    )
    predictions = (
        held_out.filter(pl.col("split") != "train")
        .unpivot(index=["event_id", "split"], variable_name="recommender", value_name="probability")
        .select("event_id", "recommender", "split", "probability")
    )
    return predictions, dict(zip(FEATURES, weights.tolist(), strict=True))


def save_weights(folder: Path, weights: Mapping[str, Any]) -> None:
    """Standardised coefficients of the logistic regression, as `running_statistics.json`."""
    (folder / "running_statistics.json").write_text(json.dumps(dict(weights), indent=2))
