"""EASE: does what the user met, liked and disliked lead to the candidate?

EASE is Steck, *Embarrassingly Shallow Autoencoders for Sparse Data* (WWW 2019): item-item weights
in closed form. Five are read: of all events, of likes and of dislikes, and of what is left of
ratings and of likes when bias is taken out. Each is fitted again whenever the log has grown by a
share of itself, on what was known by then; a query uses the latest fit on strictly earlier events,
and all of the user's earlier events. To read it as evidence, of residuals too, and when to fit
again, are ours.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from curec_assets.evidence.bias import Bias
from curec_assets.evidence.event_log import Codes, EventLog, Floats, Ints, Queries
from curec_assets.evidence.fits import Fit, KeptFits

COLUMNS = {
    "ease_met": "taste",
    "ease_liked": "taste",
    "ease_disliked": "taste",
    "ease_rating": "taste",
    "ease_like": "taste",
}
"""Each number with the kind of fact (`schema.KINDS`) that it belongs to."""

_FIRST = 500  # events before the first fit
_GROWTH = 1.1  # of the log until the next
_MOST = 500  # latest events of a user that are looked at


def ease(interactions: Any, l2: float) -> npt.NDArray[np.float32]:
    """EASE weights (items, items) with a zero diagonal, from a matrix (users, items).

    `interactions` may be dense or sparse; `l2`: the regularisation. Row: an item of the user's;
    column: the item that is scored.
    """
    from scipy.linalg import lapack

    size = interactions.shape[1]
    if not size:
        return np.zeros((0, 0), dtype=np.float32)
    regularised = gram(interactions)
    regularised[np.diag_indices(size)] += l2
    factor, _ = lapack.dpotrf(regularised, lower=1)  # zeros above
    lower, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)  # half the work of a general inverse
    weights = lower + lower.T
    weights /= -np.diag(lower)
    np.fill_diagonal(weights, 0.0)
    return weights.astype(np.float32)


def gram(matrix: Any) -> Floats:
    """(columns, columns) dense products of the columns of a dense or sparse matrix."""
    products = matrix.T.astype(np.float64) @ matrix
    return products.toarray() if hasattr(products, "toarray") else products


class Ease:
    """Scores of the candidate from the user's items; `read` gives `COLUMNS`."""

    columns = COLUMNS

    def __init__(
        self, log: EventLog, bias: Bias, *, l2: float, max_items: int, fits: KeptFits
    ) -> None:
        """`max_items`: those with most events at the time of a fit; of others nothing is said."""
        self._log = log
        self._fits = fits
        self._l2 = l2
        self._max_items = max_items
        self._bias = bias

    def read(self, queries: Queries) -> Floats:
        """(queries, columns)."""
        log = self._log
        found = np.zeros((len(queries), len(COLUMNS)))
        sizes = log.sizes(_FIRST, _GROWTH)
        turn = np.searchsorted(sizes, log.earlier(queries.times), side="right") - 1
        begin, end = log.by_user.before(queries.users, queries.times)
        begin = np.maximum(begin, end - _MOST)
        turns = np.unique(turn[(turn >= 0) & (end > begin)])
        known = {number: self._known(int(sizes[number])) for number in turns}
        for column in range(len(COLUMNS)):
            values = self._values(column)
            for number in turns:
                size, items = int(sizes[number]), known[number]
                place = np.full(len(log.item_ids) + 1, -1, dtype=np.int32)  # the last: unknown
                place[items] = np.arange(len(items), dtype=np.int32)
                asked = (turn == number) & (place[queries.items] >= 0) & (end > begin)
                rows = np.flatnonzero(asked)
                if not len(rows):
                    continue
                weights = self._weights(
                    column, values, size, place, len(items), last=size == sizes[-1]
                )
                found[rows, column] = _score(
                    np.ascontiguousarray(weights.T),
                    place[queries.items[rows]],
                    begin[rows],
                    end[rows],
                    log.by_user.events,
                    log.items,
                    place,
                    values,
                )
        return found

    def _values(self, column: int) -> Floats:
        """(events,) what the weights of a column are fitted on, and what they weigh."""
        likes = self._log.liked.astype(np.float64)
        match column:
            case 0:
                return np.ones_like(likes)
            case 1:
                return likes
            case 2:
                return 1.0 - likes
            case 3:
                return self._bias.ratings.residuals
            case _:
                return self._bias.likes.residuals

    def _known(self, size: int) -> Ints:
        """Items of the first `size` events, by code; the most frequent where there are too many."""
        counts = np.bincount(self._log.items[:size], minlength=len(self._log.item_ids))
        chosen = np.argsort(-counts, kind="stable")[: self._max_items]
        return np.sort(chosen[counts[chosen] > 0])

    def _weights(
        self, column: int, values: Floats, size: int, place: Codes, items: int, *, last: bool
    ) -> npt.NDArray[np.float32]:
        """Of the fit on the first `size` events; kept if it is the log's last."""
        name = f"ease-{list(COLUMNS)[column]}"
        kept = self._fits.find(name, self._log, size) if last else None
        if kept and kept.size == size:
            return kept.values.astype(np.float32, copy=False)
        weights = self._fit(values, size, place, items)
        if last:
            self._fits.keep(name, self._log, Fit(size, weights))
        return weights

    def _fit(self, values: Floats, size: int, place: Codes, items: int) -> npt.NDArray[np.float32]:
        from scipy.sparse import csr_matrix

        log = self._log
        places = place[log.items[:size]]
        chosen = (places >= 0) & (values[:size] != 0)
        # Of an item that a user met twice, the mean: a matrix of means has as many entries.
        pairs = log.users[:size][chosen].astype(np.int64) * items + places[chosen]
        pairs, once = np.unique(pairs, return_inverse=True)
        means = np.bincount(once, weights=values[:size][chosen]) / np.bincount(once)
        shape = (len(log.user_ids), items)
        return ease(csr_matrix((means, np.divmod(pairs, items)), shape=shape), self._l2)


@numba.njit(cache=True)
def _score(
    weights: npt.NDArray[np.float32],
    candidates: Codes,
    begins: Ints,
    ends: Ints,
    events: Codes,
    items: Codes,
    place: Codes,
    values: Floats,
) -> Floats:
    """(queries,) weighted sum over the user's events. `weights`: a row for each candidate;
    `place`: of each item in the weights, -1 for others.
    """
    found = np.zeros(len(candidates))
    for query in range(len(candidates)):
        of_candidate = weights[candidates[query]]
        for position in range(begins[query], ends[query]):
            event = events[position]
            column = place[items[event]]
            if column >= 0:
                found[query] += values[event] * of_candidate[column]
    return found
