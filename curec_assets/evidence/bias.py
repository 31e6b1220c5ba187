"""Bias: how generous the user, how well liked the item, and what is left of either.

Means are shrunk, `(sum + strength * prior) / (n + strength)`, to the mean of all earlier events.
*Residuals of residuals*: how much a user's ratings beat the running means of what they rated, and
how much an item's ratings beat the running means of who rated it. Formulas are ours.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from curec_assets.evidence.event_log import EventLog, Flags, Floats, Index, Ints, Queries

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
    """What bias expects of every event of a log on one scale, from strictly earlier events."""

    item: Floats
    """(events,) mean of the event's item, and"""
    user: Floats
    """of its user."""
    residuals: Floats
    """What the event gave, less the item's mean and what the user's events beat their items' by."""


class Bias:
    """Means and residuals; `read` gives `COLUMNS`."""

    columns = COLUMNS

    def __init__(self, log: EventLog, strength: float) -> None:
        """`strength`: events' worth of prior in every mean."""
        self._log = log
        self._strength = strength
        self.likes = self._expected(log.liked)
        self.ratings = self._expected(log.ratings)

    @cached_property
    def residuals_of_users(self) -> Floats:
        """(events,) residuals of ratings in the order of the index by user."""
        return self.ratings.residuals[self._log.by_user.events]

    def read(self, queries: Queries) -> Floats:
        """(queries, columns)."""
        found = self._read(queries)
        return np.column_stack([found[name] for name in COLUMNS])

    def _expected(self, values: Floats | Flags) -> Expected:
        log, strength = self._log, self._strength
        prior = log.means(values, log.times)
        item = log.by_item.means_before_each(values, strength, prior)
        user = log.by_user.means_before_each(values, strength, prior)
        prior[:] = 0.0
        over = log.by_user.means_before_each(values - item, strength, prior)
        over += item
        return Expected(item, user, np.subtract(values, over, out=over))

    def _read(self, queries: Queries) -> dict[str, Floats]:
        log = self._log
        users, items, times = queries.users, queries.items, queries.times
        found: dict[str, Floats] = {}
        zero = np.zeros(len(queries))
        for values, expected, rate, beats in (
            (log.liked, self.likes, "like_rate", "likes"),
            (log.ratings, self.ratings, "mean", "ratings"),
        ):
            prior = log.means(values, times)
            found |= {
                f"user_{rate}": self._shrunk(log.by_user, values, users, times, prior),
                f"item_{rate}": self._shrunk(log.by_item, values, items, times, prior),
                f"user_beats_{beats}": self._shrunk(
                    log.by_user, values - expected.item, users, times, zero
                ),
                f"item_beats_{beats}": self._shrunk(
                    log.by_item, values - expected.user, items, times, zero
                ),
            }
        found["user_harshness"] = found["user_mean"] - prior
        squares = log.ratings**2
        found["user_spread"], count = self._spread(log.by_user, squares, users, times)
        found["user_events"] = np.log1p(count)
        found["item_spread"], count = self._spread(log.by_item, squares, items, times)
        found["item_events"] = np.log1p(count)
        return found

    def _shrunk(
        self, index: Index, values: Floats | Flags, owners: Ints, times: Ints, prior: Floats
    ) -> Floats:
        total, count = index.total(values, owners, times)
        means: Floats = (total + self._strength * prior) / (count + self._strength)
        return means

    def _spread(
        self, index: Index, squares: Floats, owners: Ints, times: Ints
    ) -> tuple[Floats, Ints]:
        """Standard deviation of an owner's earlier ratings, and their number."""
        total, count = index.total(self._log.ratings, owners, times)
        square, _ = index.total(squares, owners, times)
        several = np.maximum(count, 1)
        return np.sqrt(np.maximum(square / several - (total / several) ** 2, 0.0)), count
