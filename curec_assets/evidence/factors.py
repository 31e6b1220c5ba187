"""Factors: matrix factorisation of residuals, fitted again and again on what was known by then.

Residuals (rating, or liked, less what bias expected) are factorised by alternating ridge
regressions (ALS; Zhou et al., "Large-scale parallel collaborative filtering for the Netflix Prize",
2008). The fit is repeated each time the log has grown by a share of itself, from where the last one
ended, so that new events move no earlier fit. A query uses the latest fit on strictly earlier
events; its user's vector is solved anew from the user's events until then. When to fit again and
the two scales are ours.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from curec_assets.core.seeds import random_generator
from curec_assets.evidence.bias import Bias
from curec_assets.evidence.event_log import Codes, EventLog, Floats, Index, Ints, Queries
from curec_assets.evidence.fits import Fit, KeptFits
from resources.compute.cores import cores

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
_SHARED = 100_000  # events from which on the cores share a sweep
_MOST = 500  # latest events of a user that are looked at


@dataclass(frozen=True)
class _Side:
    """Users with their events, or items with theirs; what a sweep reads lies side by side."""

    index: Index
    owners: Ints
    """By their first event, so that those with an event among the first so many come first."""
    first: Codes
    """(owners,) that event."""
    others: Codes
    """(events,) the other side of each event of `index`."""
    values: Floats
    """(events,) what is fitted."""

    @classmethod
    def of(cls, index: Index, others: Codes, values: Floats) -> "_Side":
        """`others`, `values`: in the order of the log."""
        owners = np.argsort(index.first, kind="stable")
        return cls(index, owners, index.first[owners], others[index.events], values[index.events])

    def sweep(self, vectors: Floats, theirs: Floats, size: int, ridge: float) -> None:
        """The ridge regressions of every owner that has one of the first `size` events.

        They know nothing of each other: of many events, each core gets a share of the owners.
        """
        known = self.owners[: np.searchsorted(self.first, size)]
        shares = cores() if size >= _SHARED else 1
        with ThreadPoolExecutor(shares) as threads:
            done = [
                threads.submit(
                    _sweep,
                    vectors,
                    theirs,
                    known[share::shares],
                    self.index.starts,
                    self.index.events,
                    self.others,
                    self.values,
                    size,
                    ridge,
                )
                for share in range(shares)
            ]
        for each in done:
            each.result()


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
        log = self._log
        earlier = log.earlier(queries.times)
        sizes = log.sizes(_FIRST, _GROWTH)
        turn = np.searchsorted(sizes, earlier, side="right") - 1
        asked = turn[turn >= 0]
        if not len(asked):
            return found
        first = log.by_item.first
        for column, values in enumerate(
            (self._bias.ratings.residuals, _LIKE_SCALE * self._bias.likes.residuals)
        ):
            fits = self._fitted(column, values, sizes, int(asked.min()), int(asked.max()))
            for number, items in fits:
                rows = np.flatnonzero(turn == number)
                if len(rows):
                    fitted = first < sizes[number]
                    predicted, variance = self._predict(items, fitted, values, queries.of(rows))
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
        if done >= last:
            return
        by_user = _Side.of(log.by_user, log.items, values)
        by_item = _Side.of(log.by_item, log.users, values)
        users = np.empty((len(log.user_ids), self._rank))
        for number in range(done + 1, last + 1):
            size = int(sizes[number])
            self._fit(users, items, by_user, by_item, size)
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

    def _fit(self, users: Floats, items: Floats, by_user: _Side, by_item: _Side, size: int) -> None:
        """Sweeps over the first `size` events; `users` and `items` are changed in place."""
        for _ in range(_SWEEPS):
            by_user.sweep(users, items, size, self._ridge)
            by_item.sweep(items, users, size, self._ridge)

    def _predict(
        self, items: Floats, fitted: npt.NDArray[np.bool_], values: Floats, queries: Queries
    ) -> tuple[Floats, Floats]:
        begin, end = self._log.by_user.before(queries.users, queries.times)
        return _solve(
            items,
            fitted,
            queries.items,
            np.maximum(begin, end - _MOST),
            end,
            self._log.by_user.events,
            self._log.items,
            values,
            self._ridge,
        )


@numba.njit(cache=True)
def _add(gram: Floats, right: Floats, vectors: Floats, row: int, value: float) -> None:
    """One event more in the normal equations, in place: the vector in `row`, and its value."""
    for place in range(len(right)):
        weight = vectors[row, place]
        for column in range(len(right)):
            gram[place, column] += weight * vectors[row, column]
        right[place] += weight * value


@numba.njit(cache=True)
def _solve_in_place(gram: Floats, right: Floats) -> None:
    """`right` becomes the solution, the lower triangle of `gram` its Cholesky factor.

    By plain loops: there are hundreds of millions of systems of some ten unknowns, and a call to
    LAPACK costs several times as much as the arithmetic.
    """
    size = len(right)
    for row in range(size):
        for column in range(row + 1):
            left = gram[row, column]
            for before in range(column):
                left -= gram[row, before] * gram[column, before]
            gram[row, column] = np.sqrt(left) if row == column else left / gram[column, column]
        for before in range(row):
            right[row] -= gram[row, before] * right[before]
        right[row] /= gram[row, row]
    for row in range(size - 1, -1, -1):
        for after in range(row + 1, size):
            right[row] -= gram[after, row] * right[after]
        right[row] /= gram[row, row]


@numba.njit(cache=True, nogil=True)
def _sweep(
    vectors: Floats,
    theirs: Floats,
    owners: Ints,
    starts: Ints,
    events: Codes,
    others: Codes,
    values: Floats,
    size: int,
    ridge: float,
) -> None:
    """The ridge regression of each of `owners`, from its events among the first `size`."""
    rank = vectors.shape[1]
    gram, right = np.empty((rank, rank)), np.empty(rank)
    for owner in owners:
        gram[:] = 0.0
        np.fill_diagonal(gram, ridge)
        right[:] = 0.0
        for position in range(starts[owner], starts[owner + 1]):
            if events[position] >= size:
                break
            _add(gram, right, theirs, others[position], values[position])
        _solve_in_place(gram, right)
        vectors[owner] = right


@numba.njit(cache=True)
def _solve(
    items: Floats,
    fitted: npt.NDArray[np.bool_],
    candidates: Ints,
    begins: Ints,
    ends: Ints,
    events: Codes,
    their_items: Codes,
    values: Floats,
    ridge: float,
) -> tuple[Floats, Floats]:
    """(queries,) predicted residual of the candidate, and its variance (1: nothing is known).

    `fitted`: (items,) whether the fit has it; what it does not have says nothing, nor is anything
    said of it.
    """
    rank = items.shape[1]
    predicted = np.zeros(len(candidates))
    variance = np.ones(len(candidates))
    for query in range(len(candidates)):
        candidate = candidates[query]
        if candidate < 0 or not fitted[candidate] or begins[query] == ends[query]:
            continue
        gram = np.eye(rank) * ridge
        right = np.zeros(rank)
        for position in range(begins[query], ends[query]):
            event = events[position]
            if their_items[event] == candidate or not fitted[their_items[event]]:
                continue
            _add(gram, right, items, their_items[event], values[event])
        target = items[candidate]
        inverse = target.copy()
        _solve_in_place(gram, inverse)
        predicted[query] = inverse @ right
        variance[query] = ridge * (inverse @ target) / max(target @ target, 1e-9)
    return predicted, variance
