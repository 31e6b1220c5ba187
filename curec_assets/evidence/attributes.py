"""Attributes: how the user has fared with what the candidate is (its genre, director, brand, ...).

Per attribute value of the candidate: the user's shrunk mean residual on earlier items that have it,
and everybody's residual on the value without the candidate. Formulas are ours.
"""

from dataclasses import dataclass

import numba
import numpy as np
import polars as pl

from curec_assets.evidence.bias import Bias
from curec_assets.evidence.event_log import Codes, EventLog, Flags, Floats, Ints, Queries

COLUMNS = {
    "attribute_mean": "attribute",
    "attribute_best": "attribute",
    "attribute_worst": "attribute",
    "attribute_support": "attribute",
    "attribute_liked_share": "attribute",
    "attribute_crowd": "crowd",
}
"""Each number with the kind of fact (`schema.KINDS`) that it belongs to."""
NAMED = ("best", "best_liked", "best_count", "worst", "worst_liked", "worst_count")
"""Integers for a person: codes of the values that speak most for and against (-1: none), each with
how many of the user's earlier items that have it were liked."""
_MOST = 500  # latest events of a user that are looked at


@dataclass(frozen=True)
class ItemAttributes:
    """The attribute values of every item of a log, as codes: `values[starts[i]:starts[i + 1]]`."""

    starts: Ints
    values: Ints
    names: pl.Series
    """Attribute value of each code."""


def item_attributes(items: pl.DataFrame, log: EventLog) -> ItemAttributes:
    """`items`: item_id, attributes (kind, value)."""
    pairs = (
        items.select("item_id", "attributes")
        .explode("attributes")
        .drop_nulls()
        .select("item_id", value=pl.col("attributes").struct.field("value"))
        .unique()
    )
    names = pairs["value"].unique().sort()
    coded = (
        pl.DataFrame({"item_id": log.item_ids})
        .with_row_index("item")
        .join(pairs, on="item_id")
        .join(pl.DataFrame({"value": names}).with_row_index("code"), on="value")
        .sort("item", "code")
    )
    owners = coded["item"].to_numpy()
    starts = np.searchsorted(owners, np.arange(len(log.item_ids) + 1)).astype(np.int64)
    return ItemAttributes(starts, coded["code"].cast(pl.Int64).to_numpy(), names)


class Attributes:
    """The user's and everybody's residuals on the candidate's attributes; `read`: `COLUMNS`."""

    columns = COLUMNS

    def __init__(
        self, log: EventLog, bias: Bias, attributes: ItemAttributes, strength: float
    ) -> None:
        """`strength`: events' worth of prior (zero) in every mean."""
        self._log = log
        self._attributes = attributes
        self._strength = strength
        self._bias = bias

    def read(self, queries: Queries) -> Floats:
        """(queries, columns)."""
        return np.column_stack([self._own(queries)[0], self._crowd(queries)])

    def name(self, queries: Queries) -> tuple[Ints, pl.Series]:
        """(queries, `NAMED`) integers, and the value of each code."""
        return self._own(queries)[1], self._attributes.names

    def _own(self, queries: Queries) -> tuple[Floats, Ints]:
        """The user's own numbers, and what is named to a person."""
        log, of = self._log, self._attributes
        begin, end = log.by_user.before(queries.users, queries.times)
        return _read(
            queries.items,
            np.maximum(begin, end - _MOST),
            end,
            log.of_users.items,
            self._bias.residuals_of_users,
            log.of_users.liked,
            of.starts,
            of.values,
            len(of.names),
            self._strength,
        )

    def _crowd(self, queries: Queries) -> Floats:
        """(queries,) mean over values of everybody's surplus on the value's other items."""
        order = np.argsort(queries.times, kind="stable")
        earlier = self._log.earlier(queries.times)
        # A value's crowd: of each event, what the item gets beyond its users' means.
        surplus = self._log.ratings - self._bias.ratings.user
        found = np.zeros(len(queries))
        found[order] = _crowd(
            queries.items[order],
            earlier[order],
            self._log.items,
            surplus,
            self._attributes.starts,
            self._attributes.values,
            len(self._attributes.names),
            len(self._log.item_ids),
            self._strength,
        )
        return found


@numba.njit(cache=True)
def _read(
    candidates: Ints,
    begins: Ints,
    ends: Ints,
    their_items: Codes,
    residuals: Floats,
    likes: Flags,
    starts: Ints,
    values: Ints,
    n_values: int,
    strength: float,
) -> tuple[Floats, Ints]:
    found = np.zeros((len(candidates), 5))
    named = np.zeros((len(candidates), 6), dtype=np.int64)
    named[:, 0] = named[:, 3] = -1
    slot = np.full(n_values, -1, dtype=np.int64)
    for query in range(len(candidates)):
        candidate = candidates[query]
        if candidate < 0:
            continue
        first = starts[candidate]
        size = starts[candidate + 1] - first
        if size == 0:
            continue
        for place in range(size):
            slot[values[first + place]] = place
        count, total, liked = np.zeros(size), np.zeros(size), np.zeros(size)
        for position in range(begins[query], ends[query]):
            item = their_items[position]
            if item == candidate:
                continue
            for at in range(starts[item], starts[item + 1]):
                place = slot[values[at]]
                if place >= 0:
                    count[place] += 1.0
                    total[place] += residuals[position]
                    liked[place] += likes[position]
        means = total / (count + strength)
        found[query, 0] = means.mean()
        found[query, 1] = means.max()
        found[query, 2] = means.min()
        found[query, 3] = np.log1p(count).mean()
        found[query, 4] = (liked.sum() + 0.5 * strength) / (count.sum() + strength)
        best, worst = 0.0, 0.0
        for place in range(size):
            value = values[first + place]
            slot[value] = -1
            if means[place] > best:
                best = means[place]
                named[query, 0] = value
                named[query, 1], named[query, 2] = int(liked[place]), int(count[place])
            if means[place] < worst:
                worst = means[place]
                named[query, 3] = value
                named[query, 4], named[query, 5] = int(liked[place]), int(count[place])
    return found, named


@numba.njit(cache=True)
def _crowd(
    candidates: Ints,
    earlier: Ints,
    items: Codes,
    surplus: Floats,
    starts: Ints,
    values: Ints,
    n_values: int,
    n_items: int,
    strength: float,
) -> Floats:
    """Queries in time order; events are added as they fall before the query."""
    found = np.zeros(len(candidates))
    count, total = np.zeros(n_values), np.zeros(n_values)
    item_count, item_total = np.zeros(n_items), np.zeros(n_items)
    added = 0
    for query in range(len(candidates)):
        while added < earlier[query]:
            item = items[added]
            item_count[item] += 1.0
            item_total[item] += surplus[added]
            for at in range(starts[item], starts[item + 1]):
                count[values[at]] += 1.0
                total[values[at]] += surplus[added]
            added += 1
        candidate = candidates[query]
        if candidate < 0:
            continue
        first, last = starts[candidate], starts[candidate + 1]
        for at in range(first, last):
            value = values[at]
            others = count[value] - item_count[candidate]
            found[query] += (total[value] - item_total[candidate]) / (others + strength)
        if last > first:
            found[query] /= last - first
    return found
