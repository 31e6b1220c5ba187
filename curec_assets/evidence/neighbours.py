"""Neighbours: what others who rated the candidate made of the user's own items (collaborative).

One pass over the earlier raters v of a candidate b, and over what each of them rated besides, gives
both sides. With e = rating less what bias expected of it then, and y = liked:

- *item-item*, for each earlier event (j, y_uj) of the user: among others who gave j the same y, the
  shrunk like rate of b as log-odds against b's own; and the residual correlation
  `sum(e_vb * e_vj) / (variance * (n + 10))`.
- *user-user*, for each v: agreement `sum(e_uj * e_vj) / (variance * (n + 8))` over co-rated items;
  its weighted mean of v's residual on b, and how many of those who agree, or disagree, liked b.

The user's own events on b are never evidence. At most the latest `max_raters` raters of b and the
latest `max_history` events of the user are looked at. Formulas are ours.
"""

from dataclasses import dataclass

import numba
import numpy as np

from curec_assets.evidence.bias import Bias
from curec_assets.evidence.event_log import Codes, EventLog, Flags, Floats, Ints, Queries

COLUMNS = {
    "item_item_sum": "related",
    "item_item_support": "related",
    "item_item_for": "related",
    "item_item_against": "related",
    "item_item_top": "related",
    "item_item_recent": "related",
    "residual_mean": "related",
    "residual_support": "related",
    "co_liked_to_liked": "related",
    "co_liked_to_disliked": "related",
    "co_liked_difference": "related",
    "like_minded_residual": "like_minded",
    "like_minded_weight": "like_minded",
    "like_minded": "like_minded",
    "like_minded_log_odds": "like_minded",
    "unlike_minded": "like_minded",
    "unlike_minded_log_odds": "like_minded",
}
"""Each number with the kind of fact (`schema.KINDS`) that it belongs to."""
NAMED = (
    "for_event",
    "for_liked",
    "for_count",
    "against_event",
    "against_liked",
    "against_count",
    "like_minded_liked",
    "like_minded_count",
)
"""Integers for a person: positions in the log of the user's events that speak most for and against
(-1: none), each with how many of those who judged it as the user did liked the candidate; and how
many of the like-minded did."""

_PRIOR = 5.0
_RESIDUAL_PRIOR = 10.0
_AGREEMENT_PRIOR = 8.0
_LIKE_MINDED = 0.02  # agreement above which a rater is called like-minded
_TOP = 10


@dataclass(frozen=True)
class Found:
    """What `Neighbours.read_all` finds: `COLUMNS`, and the integers of `NAMED`."""

    numbers: Floats
    named: Ints
    """(queries, len(NAMED))."""


class Neighbours:
    """Item-item and user-user evidence; `read` gives `COLUMNS`."""

    columns = COLUMNS

    def __init__(
        self, log: EventLog, bias: Bias, *, max_raters: int = 1000, max_history: int = 500
    ) -> None:
        self._log = log
        self._bias = bias
        self._max_raters = max_raters
        self._max_history = max_history

    def read(self, queries: Queries) -> Floats:
        """(queries, columns)."""
        return self.read_all(queries).numbers

    def read_all(self, queries: Queries) -> Found:
        """The numbers, and what is named to a person."""
        log, residuals = self._log, self._bias.ratings.residuals
        user_begin, user_end = log.by_user.before(queries.users, queries.times)
        item_begin, item_end = log.by_item.before(queries.items, queries.times)
        all_likes, earlier = log.total(log.liked, queries.times)
        squares, _ = log.total(residuals**2, queries.times)
        prior, variance = (all_likes + 1.0) / (earlier + 2.0), (squares + 1.0) / (earlier + 1.0)
        likes, raters = log.by_item.total(log.liked, queries.items, queries.times)
        rate = (likes + _PRIOR * prior) / (raters + _PRIOR)
        of_users = log.of_users
        numbers, named = _read(
            queries.users,
            queries.items,
            queries.times,
            np.maximum(user_begin, user_end - self._max_history),
            user_end,
            np.maximum(item_begin, item_end - self._max_raters),
            item_end,
            rate,
            variance,
            log.by_user.starts,
            of_users.items,
            of_users.times,
            of_users.liked,
            self._bias.residuals_of_users,
            log.by_item.events,
            log.users,
            log.liked,
            residuals,
            len(log.item_ids),
            log.drawn,
        )
        for place in (0, 3):
            own = named[:, place]
            named[:, place] = np.where(own < 0, -1, log.by_user.events[np.maximum(own, 0)])
        return Found(numbers, named)


@numba.njit(cache=True)
def _logit(rate: float) -> float:
    return np.log(rate / (1.0 - rate))


@numba.njit(cache=True)
def _read(
    users: Ints,
    items: Ints,
    times: Ints,
    own_begins: Ints,
    own_ends: Ints,
    rater_begins: Ints,
    rater_ends: Ints,
    rates: Floats,
    variances: Floats,
    starts: Ints,
    their_items: Codes,
    their_times: Ints,
    their_likes: Flags,
    their_residuals: Floats,
    by_item: Codes,
    log_users: Codes,
    log_likes: Flags,
    log_residuals: Floats,
    n_items: int,
    only_likes: bool,
) -> tuple[Floats, Ints]:
    """One query after the other. `their_*` are in the order of the index by user.

    `only_likes`: nothing else is named.
    """
    found = np.zeros((len(users), 17))
    named = np.zeros((len(users), 8), dtype=np.int64)
    named[:, 0] = named[:, 3] = -1
    slot = np.full(n_items, -1, dtype=np.int64)  # item → its place in the user's history
    for query in range(len(users)):
        begin, end = own_begins[query], own_ends[query]
        size = end - begin
        rate, variance = rates[query], variances[query]
        base = _logit(rate)
        for place in range(size):
            slot[their_items[begin + place]] = place
        if items[query] >= 0:
            slot[items[query]] = -1  # what the user made of the candidate itself is no evidence
        same = np.zeros(size)
        same_likes = np.zeros(size)
        both = np.zeros(size)
        both_likes = np.zeros(size)
        co_liked = np.zeros(size)
        products = np.zeros(size)
        weighted = weights = near = near_likes = far = far_likes = b_likes = 0.0
        for rater in range(rater_begins[query], rater_ends[query]):
            event = by_item[rater]
            other = log_users[event]
            if other == users[query]:
                continue
            liked_b, residual_b = log_likes[event], log_residuals[event]
            b_likes += liked_b
            agreement = 0.0
            shared = 0
            for position in range(starts[other], starts[other + 1]):
                if their_times[position] >= times[query]:
                    break
                place = slot[their_items[position]]
                if place < 0:
                    continue
                liked, residual = their_likes[position], their_residuals[position]
                own = begin + place
                shared += 1
                agreement += residual * their_residuals[own]
                both[place] += 1.0
                both_likes[place] += liked
                products[place] += residual_b * residual
                co_liked[place] += liked_b * liked
                if liked == their_likes[own]:
                    same[place] += 1.0
                    same_likes[place] += liked_b
            if shared:
                weight = agreement / (variance * (shared + _AGREEMENT_PRIOR))
                weighted += weight * residual_b
                weights += abs(weight)
                if weight > _LIKE_MINDED:
                    near += 1.0
                    near_likes += liked_b
                elif weight < -_LIKE_MINDED:
                    far += 1.0
                    far_likes += liked_b
        _summarise(
            found[query],
            named[query],
            begin,
            size,
            rate,
            base,
            variance,
            b_likes,
            same,
            same_likes,
            both,
            both_likes,
            co_liked,
            products,
            their_likes,
            their_residuals,
            their_items,
            slot,
            only_likes,
        )
        found[query, 11] = weighted / (weights + 1.0)
        found[query, 12] = np.log1p(weights)
        found[query, 13] = np.log1p(near)
        found[query, 14] = _logit((near_likes + _PRIOR * rate) / (near + _PRIOR)) - base
        found[query, 15] = np.log1p(far)
        found[query, 16] = _logit((far_likes + _PRIOR * rate) / (far + _PRIOR)) - base
        named[query, 6], named[query, 7] = int(near_likes), int(near)
        for place in range(size):
            slot[their_items[begin + place]] = -1
    return found, named


@numba.njit(cache=True)
def _summarise(
    found: Floats,
    named: Ints,
    begin: int,
    size: int,
    rate: float,
    base: float,
    variance: float,
    b_likes: float,
    same: Floats,
    same_likes: Floats,
    both: Floats,
    both_likes: Floats,
    co_liked: Floats,
    products: Floats,
    their_likes: Flags,
    their_residuals: Floats,
    their_items: Codes,
    slot: Ints,
    only_likes: bool,
) -> None:
    """Item-item columns of one query, from the sums per event of the user's history."""
    odds = np.zeros(size)
    total = support = recent = recent_weight = mean = mean_weight = 0.0
    cosine = np.zeros(2)
    counts = np.zeros(2)
    best, worst = 0.0, 0.0
    best_named, worst_named = 0.0, 0.0
    for place in range(size):
        if slot[their_items[begin + place]] != place:
            continue  # rated again later, or the candidate itself
        own = begin + place
        odds[place] = _logit((same_likes[place] + _PRIOR * rate) / (same[place] + _PRIOR)) - base
        total += odds[place]
        support += np.log1p(same[place])
        decay = np.exp((place - size) / 20.0)
        recent += decay * odds[place]
        recent_weight += decay
        correlation = products[place] / (variance * (both[place] + _RESIDUAL_PRIOR))
        mean += correlation * their_residuals[own]
        mean_weight += abs(correlation)
        side = 1 if their_likes[own] > 0.5 else 0
        counts[side] += 1.0
        cosine[side] += co_liked[place] / (np.sqrt(b_likes * both_likes[place]) + 10.0)
        best, worst = max(best, odds[place]), min(worst, odds[place])
        if only_likes and not side:
            continue
        if odds[place] > best_named:
            best_named = odds[place]
            named[0], named[1], named[2] = own, int(same_likes[place]), int(same[place])
        if odds[place] < worst_named:
            worst_named = odds[place]
            named[3], named[4], named[5] = own, int(same_likes[place]), int(same[place])
    top = 0.0
    order = np.argsort(-np.abs(odds))
    for rank in range(min(_TOP, size)):
        top += odds[order[rank]]
    scale = np.sqrt(max(size, 1))
    found[0] = total / scale
    found[1] = support / max(size, 1)
    found[2] = best
    found[3] = worst
    found[4] = top
    found[5] = recent / (recent_weight + 1.0)
    found[6] = mean / (mean_weight + 0.1)
    found[7] = mean_weight
    found[8] = cosine[1] / max(counts[1], 1.0)
    found[9] = cosine[0] / max(counts[0], 1.0)
    found[10] = found[8] - found[9]
