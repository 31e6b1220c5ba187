"""Factors: matrix factorisation of residuals, fitted again and again on what was known by then.

Residuals (rating, or liked, less what bias expected) are factorised by alternating ridge
regressions (ALS; Zhou et al., "Large-scale parallel collaborative filtering for the Netflix Prize",
2008). The fit is repeated each time the log has grown by a share of itself, from where the last one
ended, so that new events move no earlier fit. A query uses the latest fit on strictly earlier
events; its user's vector is solved anew from the user's events until then. When to fit again and
the two scales are ours.
"""

from collections.abc import Iterator

import numba
import numpy as np

from curec_assets.core.seeds import random_generator
from curec_assets.evidence.bias import Bias
from curec_assets.evidence.event_log import Codes, EventLog, Floats, Ints, Queries
from curec_assets.evidence.fits import Fit, KeptFits

COLUMNS = {
    "factor_rating": "taste",
    "factor_like": "taste",
    "factor_variance": "taste",
}
"""Each number with the kind of fact (`schema.KINDS`) that it belongs to."""

_FIRST = 500  # events before the first fit
_GROWTH = 1.08  # of the log until the next
_LIKE_SCALE = 2.0  # brings likes to about the spread of ratings, so that one penalty suits both
_SWEEPS = 3  # of users and items in each fit
_MOST = 500  # latest events of a user that are looked at


class Factors:
    """Predicted residuals from factors; `read` gives `COLUMNS`."""

    columns = COLUMNS

    def __init__(
        self, log: EventLog, bias: Bias, *, rank: int, ridge: float, seed: int, fits: KeptFits
    ) -> None:
        """`rank`: factors; `ridge`: penalty of every regression."""
        self._log = log
        self._rank = rank
        self._ridge = ridge
        self._seed = seed
        self._fits = fits
        self._bias = bias

    def read(self, queries: Queries) -> Floats:
        """(queries, columns)."""
        found = np.zeros((len(queries), 3))
        found[:, 2] = 1.0
        earlier = self._log.earlier(queries.times)
        sizes = self._log.sizes(_FIRST, _GROWTH)
        turn = np.searchsorted(sizes, earlier, side="right") - 1
        asked = turn[turn >= 0]
        if not len(asked):
            return found
        for column, values in enumerate(
            (self._bias.ratings.residuals, _LIKE_SCALE * self._bias.likes.residuals)
        ):
            fits = self._fitted(column, values, sizes, int(asked.min()), int(asked.max()))
            for number, items in fits:
                rows = np.flatnonzero(turn == number)
                if len(rows):
                    predicted, variance = self._predict(items, values, queries.of(rows))
                    found[rows, column] = predicted
                    found[rows, 2] = variance
        return found

    def _fitted(
        self, column: int, values: Floats, sizes: Ints, first: int, last: int
    ) -> Iterator[tuple[int, Floats]]:
        """Number and vectors of each fit from the `first` to the `last` that is wanted, or more.

        It goes on from the kept one where that is not beyond the first; the log's last is kept.
        """
        name, log = f"factors-{column}", self._log
        items, done = self._start(), -1
        kept = self._fits.find(name, log, int(sizes[first]))
        if kept and kept.size in sizes:
            items[self._known(kept.size)] = kept.values
            done = int(np.searchsorted(sizes, kept.size))
            yield done, items
        for number in range(done + 1, last + 1):
            size = int(sizes[number])
            self._fit(items, size, values)
            if number == len(sizes) - 1:
                self._fits.keep(name, log, Fit(size, items[self._known(size)]))
            yield number, items

    def _known(self, size: int) -> Ints:
        """Codes of the items that the first `size` events have; others are where they started."""
        return np.unique(self._log.items[:size])

    def _start(self) -> Floats:
        """(items, rank) small random vectors, of each item's own: others change none of it."""
        found = np.empty((len(self._log.item_ids), self._rank))
        for code, item in enumerate(self._log.item_ids):
            found[code] = random_generator(self._seed, "factors", item).normal(0.0, 0.1, self._rank)
        return found

    def _fit(self, items: Floats, size: int, values: Floats) -> None:
        """Sweeps over the first `size` events; `items` is changed in place."""
        log = self._log
        users = np.zeros((len(log.user_ids), self._rank))
        for _ in range(_SWEEPS):
            _sweep(
                users,
                items,
                log.by_user.starts,
                log.by_user.events,
                log.items,
                values,
                size,
                self._ridge,
            )
            _sweep(
                items,
                users,
                log.by_item.starts,
                log.by_item.events,
                log.users,
                values,
                size,
                self._ridge,
            )

    def _predict(self, items: Floats, values: Floats, queries: Queries) -> tuple[Floats, Floats]:
        begin, end = self._log.by_user.before(queries.users, queries.times)
        return _solve(
            items,
            queries.items,
            np.maximum(begin, end - _MOST),
            end,
            self._log.by_user.events,
            self._log.items,
            values,
            self._ridge,
        )


@numba.njit(cache=True)
def _sweep(
    owners: Floats,
    others: Floats,
    starts: Ints,
    events: Codes,
    their: Codes,
    values: Floats,
    size: int,
    ridge: float,
) -> None:
    """The ridge regression of every owner that has events among the first `size`."""
    rank = owners.shape[1]
    for owner in range(len(owners)):
        gram = np.eye(rank) * ridge
        right = np.zeros(rank)
        seen = False
        for position in range(starts[owner], starts[owner + 1]):
            event = events[position]
            if event >= size:
                break
            seen = True
            other = others[their[event]]
            gram += np.outer(other, other)
            right += other * values[event]
        if seen:
            owners[owner] = np.linalg.solve(gram, right)


@numba.njit(cache=True)
def _solve(
    items: Floats,
    candidates: Ints,
    begins: Ints,
    ends: Ints,
    events: Codes,
    their_items: Codes,
    values: Floats,
    ridge: float,
) -> tuple[Floats, Floats]:
    """(queries,) predicted residual of the candidate, and its variance (1: nothing is known)."""
    rank = items.shape[1]
    predicted = np.zeros(len(candidates))
    variance = np.ones(len(candidates))
    for query in range(len(candidates)):
        if candidates[query] < 0 or begins[query] == ends[query]:
            continue
        gram = np.eye(rank) * ridge
        right = np.zeros(rank)
        for position in range(begins[query], ends[query]):
            event = events[position]
            if their_items[event] == candidates[query]:
                continue
            vector = items[their_items[event]]
            gram += np.outer(vector, vector)
            right += vector * values[event]
        target = items[candidates[query]]
        inverse = np.linalg.solve(gram, target)
        predicted[query] = inverse @ right
        variance[query] = ridge * (inverse @ target) / max(target @ target, 1e-9)
    return predicted, variance
