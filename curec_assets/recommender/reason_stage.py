"""How reasons join a recommender that has none: a second stage on its log-odds.

    log-odds with reason = log-odds + weights . [level, components of verdict and why embeddings]

A penalised logistic regression with the first stage's log-odds as offset, fitted on the training
and validation events that have a reason: reasons exist for few events, and a network that meets
them once in twenty events learns little of them (ours). Without a reason nothing is added.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.evidence.levels import LEVELS, TOSS_UP
from curec_assets.settings import RecommenderSettings

Floats = npt.NDArray[np.float64]


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

    weights: Floats
    intercept: float

    @classmethod
    def fit(cls, read: Floats, offset: Floats, liked: Floats, penalty: float) -> Self:
        """`read`: (events, numbers) of reasons, `offset`: (events,) log-odds of the first stage."""
        from scipy.optimize import minimize

        features = np.column_stack([read, np.ones(len(read))])
        if not len(read):
            return cls(np.zeros(read.shape[1]), 0.0)

        def loss(weights: Floats) -> tuple[float, Floats]:
            scores = offset + features @ weights
            value = np.logaddexp(0.0, scores).sum() - liked @ scores + penalty * weights @ weights
            slope = features.T @ (1.0 / (1.0 + np.exp(-scores)) - liked) + 2 * penalty * weights
            return float(value), slope

        found: Any = minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B").x
        return cls(found[:-1], float(found[-1]))

    def add(self, log_odds: Floats, reasons: Reasons, read: Floats) -> Floats:
        """`log_odds` of all events with what the reasons of some add."""
        found = log_odds.copy()
        if len(reasons.events):
            found[reasons.events] += read @ self.weights + self.intercept
        return found
