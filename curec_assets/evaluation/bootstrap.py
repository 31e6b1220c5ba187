"""Paired bootstrap over users, vectorised.

A resample draws users with replacement; all recommenders and metrics of a comparison are measured
on the same resamples, so a difference is paired. Where a recommender was trained with several
seeds, a resample also draws seeds, so that training noise is inside the interval (our choice).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_CHUNK = 64  # resamples worked on at once by `weighted_auc`
_LEVEL = 95.0  # per cent inside the interval


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval; all NaN where the metric is undefined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """`0.712 [0.650, 0.771]`."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Resamples:
    """How often each resample drew each user and each seed; row 0 is the data itself."""

    users: Floats  # (samples + 1, users)
    seeds: Floats  # (samples + 1, seeds), rows sum to 1

    @classmethod
    def draw(cls, rng: np.random.Generator, *, users: int, seeds: int, samples: int) -> Self:
        """`samples` resamples of `users` users and `seeds` training seeds."""
        drawn = np.empty((0 if not users else samples, users))
        if users:
            drawn[:] = rng.multinomial(users, np.full(users, 1 / users), size=samples)
        picked = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=samples) / seeds
        return cls(
            np.concatenate([np.ones((1, users)), drawn]),
            np.concatenate([np.full((1, seeds), 1 / seeds), picked]),
        )

    def over_seeds(self, estimates: Floats) -> Floats:
        """(seeds, samples + 1) → (samples + 1,); a single seed stands for all resamples."""
        if len(estimates) == 1:
            return estimates[0]
        return np.einsum("ks,sk->s", estimates, self.seeds)


def weighted_mean(users: Floats, sums: Floats, counts: Floats) -> Floats:
    """(samples + 1,) mean over events of resampled users, from sums and counts per user."""
    total = users @ counts
    return np.divide(users @ sums, total, out=np.full(len(users), np.nan), where=total > 0)


def weighted_auc(
    users: Floats,
    user: npt.NDArray[np.int64],
    liked: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.floating],
) -> Floats:
    """(samples + 1,) AUC over the events of resampled users; ties count half.

    `user`, `liked`, `scores` (events,): which user (column of `users`), outcome, score.
    """
    if not len(scores):
        return np.full(len(users), np.nan)
    order = np.argsort(scores, kind="stable")
    user, liked, ordered = user[order], liked[order], scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    result = np.full(len(users), np.nan)
    for first in range(0, len(users), _CHUNK):
        weights = users[first : first + _CHUNK, user]  # (chunk, events)
        positive = np.add.reduceat(weights * liked, starts, axis=1)  # (chunk, distinct scores)
        negative = np.add.reduceat(weights * ~liked, starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        won = (positive * (below + negative / 2)).sum(axis=1)
        result[first : first + _CHUNK] = np.divide(
            won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0
        )
    return result


def interval(estimates: Floats) -> Interval:
    """Percentile interval of (samples + 1,) estimates, the first of which is the value.

    Resamples in which the metric is undefined are left out. The interval is widened to contain the
    value, which percentiles of few users need not.
    """
    value, drawn = float(estimates[0]), estimates[1:][np.isfinite(estimates[1:])]
    if not np.isfinite(value):
        return Interval(float("nan"), float("nan"), float("nan"))
    if not drawn.size:
        return Interval(value, value, value)
    tail = (100 - _LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Interval(value, min(float(low), value), max(float(high), value))
