"""The *plain reader*: would it be liked, judging by the reason alone?

A logistic regression on the two embeddings of a reason. It knows neither user nor item, so what it
gains is what a person could take from the text. Its null is the share of likes among the events
that it was fitted on. Ours, beside the paper's recommender-shaped reader (`model.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

Scores = NDArray[np.float64]

_ITEM_PRIOR = 5.0
"""Events' worth of the base rate in an item's like rate."""
_ITERATIONS = 500


@dataclass(frozen=True)
class PlainReader:
    """log-odds of a like = intercept + coefficients · embedding."""

    coefficients: Scores
    """(2 d,)"""
    intercept: float
    base_rate: float
    """The null: P(like) of somebody who has not read the reason; inside (0, 1)."""
    item_rates: dict[str, float] = field(default_factory=dict)
    """P(like) of an item over everybody's events of the reward fold, shrunk to the base rate."""

    def logits(self, embeddings: NDArray[np.floating]) -> Scores:
        """(n,) log-odds of a like from (n, 2 d) embeddings."""
        logits: Scores = embeddings.astype(np.float64) @ self.coefficients + self.intercept
        return logits

    @property
    def null(self) -> float:
        """The base rate as log-odds."""
        return float(np.log(self.base_rate) - np.log1p(-self.base_rate))

    def rates(self, item_ids: Sequence[str]) -> Scores:
        """(n,) like rates of items; the base rate for one that is not known."""
        return np.array([self.item_rates.get(item, self.base_rate) for item in item_ids])


def fit_reader(
    embeddings: NDArray[np.float32],
    liked: NDArray[np.bool_],
    *,
    ridge: float,
    why_ridge: float,
    item_rates: dict[str, float],
) -> PlainReader:
    """The reader of (n, 2 d) embeddings and (n,) outcomes.

    `ridge`, `why_ridge`: half the penalty on each squared coefficient of the verdict's and of the
    why's embedding, beside a sum of losses over events. Verdicts are nine sentences, every why is
    another: what is learnt of the latter from few reasons is mostly chance. With outcomes of one
    kind only, or none, the reader tells nothing: it always says the base rate.
    """
    base = float((liked.sum() + 1.0) / (len(liked) + 2.0))
    half = embeddings.shape[1] // 2
    if liked.all() or not liked.any():
        return PlainReader(np.zeros(2 * half), float(np.log(base / (1 - base))), base, item_rates)
    from sklearn.linear_model import LogisticRegression

    scale = np.repeat([ridge**-0.5, why_ridge**-0.5], half)
    model = LogisticRegression(C=1.0, max_iter=_ITERATIONS)
    model.fit(embeddings * scale, liked)
    return PlainReader(model.coef_[0] * scale, float(model.intercept_[0]), base, item_rates)


def item_rates(events: pl.DataFrame) -> dict[str, float]:
    """item_id → shrunk like rate of `events` (item_id, liked)."""
    if events.is_empty():
        return {}
    base = int(events["liked"].sum()) / events.height
    rates = events.group_by("item_id").agg(
        rate=(pl.col("liked").sum() + _ITEM_PRIOR * base) / (pl.len() + _ITEM_PRIOR)
    )
    return dict(rates.sort("item_id").rows())
