"""How reasons join a recommender that has none: a second stage on its log-odds.

    log-odds with reason = first * log-odds + weights . [level, components of both embeddings] + c

A penalised logistic regression, drawn to the log-odds as they are: reasons exist for few events,
and a network that meets them once in twenty events learns little of them (ours). `first` is free,
for a verdict says much of what the first stage says, and with their sum it would count twice. It
is fitted on the validation events that have a reason: of training events, on which it was fitted,
a first stage says more than it knows. Without a reason nothing is added.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.evidence.levels import LEVELS, TOSS_UP
from curec_assets.settings import RecommenderSettings

Floats = npt.NDArray[np.float64]

# Pulls per squared distance, chosen on users of the validation events left out of the fit.
_FIRST_PULL = 3.0  # of the first stage's weight to 1
_LEVEL_PULL = 1.0  # of the level's weight to 0
_FREE_PULL = 0.1  # of the intercept to 0


@dataclass(frozen=True)
class ReasonReader:
    """A reason's two embeddings and level as a few numbers."""

    mean: Floats  # (embedding,)
    components: Floats  # (components, embedding)

    @classmethod
    def fit(cls, reasons: "Reasons", settings: RecommenderSettings, seed: int) -> Self:
        """Principal components of all `reasons`."""
        from sklearn.decomposition import PCA

        vectors = reasons.vectors
        size = min(settings.reason_components, len(vectors) - 1, vectors.shape[1])
        if size < 1 or not vectors.var(axis=0).any():
            return cls(np.zeros(vectors.shape[1]), np.zeros((0, vectors.shape[1])))
        pca = PCA(size, random_state=seed % 2**32).fit(vectors)
        return cls(pca.mean_, pca.components_)

    def read(self, reasons: "Reasons") -> Floats:
        """(reasons, 1 + components): the level between -1 and 1, then the components."""
        level = (reasons.levels - TOSS_UP) / (LEVELS - TOSS_UP)
        return np.column_stack([level, (reasons.vectors - self.mean) @ self.components.T])


@dataclass(frozen=True)
class Reasons:
    """Reasons of some events, as they are embedded."""

    events: npt.NDArray[np.int64]
    """(reasons,) rows of the events that have one."""
    vectors: Floats
    """(reasons, 2 d): verdict's, then why's embedding."""
    levels: Floats

    @classmethod
    def of(cls, events: pl.DataFrame, embeddings: pl.DataFrame) -> Self:
        """`events`: event_id; `embeddings`: `reason_embeddings`."""
        joined = (
            events.select("event_id")
            .with_row_index("row")
            .join(embeddings, on="event_id", maintain_order="left")
        )
        if joined.is_empty():
            return cls(np.zeros(0, np.int64), np.zeros((0, 1)), np.zeros(0))
        both = [joined[name].to_numpy() for name in ("verdict_embedding", "why_embedding")]
        return cls(
            joined["row"].cast(pl.Int64).to_numpy(),
            np.concatenate(both, axis=1).astype(np.float64),
            joined["level"].to_numpy().astype(np.float64),
        )


@dataclass(frozen=True)
class ReasonStage:
    """Weights of one rung."""

    first: float
    """Of the first stage's log-odds."""
    weights: Floats
    """Of the numbers of a reason."""
    intercept: float

    @classmethod
    def fit(cls, read: Floats, log_odds: Floats, liked: Floats, penalty: float) -> Self:
        """`read`: (events, numbers) of reasons, `log_odds`: (events,) of the first stage.

        `penalty`: on each squared weight of a component.
        """
        from scipy.optimize import minimize

        features = np.column_stack([log_odds, read, np.ones(len(read))])
        nothing_added = np.eye(1, features.shape[1])[0]
        pull = np.full(features.shape[1], penalty)
        pull[[0, 1, -1]] = _FIRST_PULL, _LEVEL_PULL, _FREE_PULL

        def loss(weights: Floats) -> tuple[float, Floats]:
            scores, away = features @ weights, weights - nothing_added
            value = np.logaddexp(0.0, scores).sum() - liked @ scores + pull @ away**2
            slope = features.T @ (1.0 / (1.0 + np.exp(-scores)) - liked) + 2 * pull * away
            return float(value), slope

        found: Any = minimize(loss, nothing_added, jac=True, method="L-BFGS-B").x
        return cls(float(found[0]), found[1:-1], float(found[-1]))

    def with_reasons(self, log_odds: Floats, reasons: Reasons, read: Floats) -> Floats:
        """`log_odds` of all events, those that have a reason with it."""
        found = log_odds.copy()
        own = reasons.events
        found[own] = self.first * log_odds[own] + read @ self.weights + self.intercept
        return found
