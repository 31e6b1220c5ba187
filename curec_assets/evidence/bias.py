"""Bias: how generous the user, how well liked the item, and what is left of either.

Means are shrunk, `(sum + strength * prior) / (n + strength)`, to the mean of all earlier events.
*Residuals of residuals*: how much a user's ratings beat the running means of what they rated, and
how much an item's ratings beat the running means of who rated it. Formulas are ours.
"""

from dataclasses import dataclass

import numpy as np

from curec_assets.evidence.event_log import EventLog, Floats, Index, Ints, Queries

COLUMNS = {
    "user_events": "habit",
    "item_events": "crowd",
    "user_like_rate": "habit",
    "item_like_rate": "crowd",
    "user_mean": "habit",
    "item_mean": "crowd",
    "user_beats_likes": "habit",
    "item_beats_likes": "crowd",
    "user_beats_ratings": "habit",
    "item_beats_ratings": "crowd",
    "user_spread": "habit",
    "item_spread": "crowd",
    "user_harshness": "habit",
}
"""Each number with the kind of fact (`schema.KINDS`) that it belongs to."""


@dataclass(frozen=True)
class Expected:
    """What bias alone expects of every event of a log, from strictly earlier events."""

    like: Floats
    rating: Floats
    item_like: Floats
    item_rating: Floats
    user_rating: Floats


class Bias:
    """Running means and residuals; `read` gives `COLUMNS`."""

    columns = COLUMNS

    def __init__(self, log: EventLog, strength: float) -> None:
        """`strength`: events' worth of prior in every mean."""
        self._log = log
        self._strength = strength
        likes, ratings = log.liked, log.ratings
        self._scales = [self._means(values) for values in (likes, ratings)]
        self._user_squares = log.by_user.running(ratings**2)
        self._item_squares = log.by_item.running(ratings**2)
        first = self._read(log.queries)
        self.expected = Expected(
            like=first["expected_like"],
            rating=first["expected_rating"],
            item_like=first["item_like_rate"],
            item_rating=first["item_mean"],
            user_rating=first["user_mean"],
        )

    def read(self, queries: Queries) -> Floats:
        """(queries, columns)."""
        found = self._read(queries)
        return np.column_stack([found[name] for name in COLUMNS])

    def _means(self, values: Floats) -> "_Scale":
        log, own = self._log, self._log.queries
        everything = log.by_time.running(values)
        by_user, by_item = log.by_user.running(values), log.by_item.running(values)
        prior = mean_of_all(log, everything, own.times)
        item = self._shrunk(by_item, log.by_item, own.items, own.times, prior)
        user = self._shrunk(by_user, log.by_user, own.users, own.times, prior)
        return _Scale(
            everything,
            by_user,
            by_item,
            over_items=log.by_user.running(values - item),
            over_users=log.by_item.running(values - user),
        )

    def _read(self, queries: Queries) -> dict[str, Floats]:
        log = self._log
        users, items, times = queries.users, queries.items, queries.times
        found: dict[str, Floats] = {}
        zero = np.zeros(len(queries))
        for scale, (rate, beats, expected) in zip(
            self._scales,
            (("like_rate", "likes", "like"), ("mean", "ratings", "rating")),
            strict=True,
        ):
            prior = mean_of_all(log, scale.everything, times)
            user = self._shrunk(scale.by_user, log.by_user, users, times, prior)
            item = self._shrunk(scale.by_item, log.by_item, items, times, prior)
            over = self._shrunk(scale.over_items, log.by_user, users, times, zero)
            above = self._shrunk(scale.over_users, log.by_item, items, times, zero)
            found |= {
                f"user_{rate}": user,
                f"item_{rate}": item,
                f"user_beats_{beats}": over,
                f"item_beats_{beats}": above,
                f"expected_{expected}": item + over,
            }
        ratings = self._scales[1]
        found["user_spread"], count = _spread(
            log.by_user, ratings.by_user, self._user_squares, users, times
        )
        found["user_events"] = np.log1p(count)
        found["item_spread"], count = _spread(
            log.by_item, ratings.by_item, self._item_squares, items, times
        )
        found["item_events"] = np.log1p(count)
        found["user_harshness"] = found["user_mean"] - mean_of_all(log, ratings.everything, times)
        return found

    def _shrunk(
        self, running: Floats, index: Index, owners: Ints, times: Ints, prior: Floats
    ) -> Floats:
        total, count = index.total(running, owners, times)
        means: Floats = (total + self._strength * prior) / (count + self._strength)
        return means


@dataclass(frozen=True)
class _Scale:
    """Running sums of one scale (likes or ratings)."""

    everything: Floats
    by_user: Floats
    by_item: Floats
    over_items: Floats
    over_users: Floats


def mean_of_all(log: EventLog, running: Floats, times: Ints) -> Floats:
    """(times,) mean over all earlier events of what `running` sums; 0 before the first."""
    total, count = log.by_time.total(running, np.zeros(len(times), dtype=np.int64), times)
    means: Floats = total / np.maximum(count, 1)
    return means


def _spread(
    index: Index, running: Floats, squares: Floats, owners: Ints, times: Ints
) -> tuple[Floats, Ints]:
    """Standard deviation of an owner's earlier ratings, and their number."""
    total, count = index.total(running, owners, times)
    square, _ = index.total(squares, owners, times)
    several = np.maximum(count, 1)
    return np.sqrt(np.maximum(square / several - (total / several) ** 2, 0.0)), count
