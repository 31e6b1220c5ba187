"""Trend of the item and drift of the user: how each has done lately against what bias expects.

Formulas are ours. Durations in days; a *session* is a run of a user's events without a gap of more
than an hour.
"""

import numba
import numpy as np

from curec_assets.evidence.bias import Bias
from curec_assets.evidence.event_log import Codes, EventLog, Floats, Index, Ints, Queries
from curec_assets.evidence.walks import first_since

COLUMNS = {
    "item_trend": "trend",
    "item_last_raters": "trend",
    "item_raters_harshness": "crowd",
    "item_age": "crowd",
    "item_idle": "trend",
    "user_trend": "lately",
    "user_last_events": "lately",
    "user_gap": "lately",
    "session_position": "lately",
    "session_residual": "lately",
    "user_popularity": "lately",
    "user_age": "habit",
}
"""Each number with the kind of fact (`schema.KINDS`) that it belongs to."""

_DAY = 86_400.0
_HALF_LIFE = 14.0  # days until an event counts e times less
_LAST = 10
_SESSION = 3_600  # seconds without an event that end a session
_MOST = 400  # latest events that are looked at


class Trend:
    """Recent residuals of item and user; `read` gives `COLUMNS`."""

    columns = COLUMNS

    def __init__(self, log: EventLog, bias: Bias, strength: float) -> None:
        """`strength`: events' worth of prior (zero) in every mean."""
        self._log = log
        self._strength = strength
        self._bias = bias

    def read(self, queries: Queries) -> Floats:
        """(queries, columns)."""
        log, expected = self._log, self._bias.ratings
        of_item = self._recent(log.by_item, queries.items, queries.times, expected.residuals)
        of_user = self._recent(log.by_user, queries.users, queries.times, expected.residuals)
        harshness, raters = log.by_item.total(expected.user, queries.items, queries.times)
        harsh = harshness / np.maximum(raters, 1)
        return np.column_stack(
            [
                of_item[:, 0],
                of_item[:, 1],
                harsh,
                of_item[:, 2],
                of_item[:, 3],
                of_user[:, 0],
                of_user[:, 1],
                of_user[:, 3],
                of_user[:, 4],
                of_user[:, 5],
                self._popularity(queries),
                of_user[:, 2],
            ]
        )

    def _popularity(self, queries: Queries) -> Floats:
        """(queries,) how popular what the user met last was when they met it."""
        log = self._log
        begin, end = log.by_user.before(queries.users, queries.times)
        return _popularity(
            begin,
            end,
            log.by_user.events,
            log.items,
            log.times,
            log.by_item.starts,
            log.by_item.events,
            self._strength,
        )

    def _recent(self, index: Index, owners: Ints, times: Ints, values: Floats) -> Floats:
        begin, end = index.before(owners, times)
        return _walk(begin, end, times, index.events, self._log.times, values, self._strength)


@numba.njit(cache=True)
def _popularity(
    begins: Ints,
    ends: Ints,
    events: Codes,
    items: Codes,
    times: Ints,
    item_starts: Ints,
    item_events: Codes,
    strength: float,
) -> Floats:
    """Per slice of the index by user: mean over the last of log(1 + earlier events of the item)."""
    found = np.zeros(len(begins))
    for query in range(len(begins)):
        begin, end = begins[query], ends[query]
        total = 0.0
        for position in range(end - 1, max(begin, end - _LAST) - 1, -1):
            event = events[position]
            first, after = item_starts[items[event]], item_starts[items[event] + 1]
            total += np.log1p(first_since(first, after, item_events, times, times[event]) - first)
        found[query] = total / (min(_LAST, end - begin) + strength)
    return found


@numba.njit(cache=True)
def _walk(
    begins: Ints,
    ends: Ints,
    now: Ints,
    events: Codes,
    times: Ints,
    values: Floats,
    strength: float,
) -> Floats:
    """Per slice: decayed mean, mean of the last, days since first and latest, position and mean
    within the session.
    """
    found = np.zeros((len(begins), 6))
    for query in range(len(begins)):
        begin, end = begins[query], ends[query]
        if begin == end:
            found[query, 2] = found[query, 3] = -1.0
            continue
        weight = total = last = session = 0.0
        in_session = 0
        open_session = True
        later = now[query]
        for position in range(end - 1, max(begin, end - _MOST) - 1, -1):
            time, value = times[events[position]], values[events[position]]
            age = (now[query] - time) / _DAY
            decay = np.exp(-age / _HALF_LIFE)
            weight += decay
            total += decay * value
            if position >= end - _LAST:
                last += value
            open_session = open_session and later - time <= _SESSION
            if open_session:
                in_session += 1
                session += value
            later = time
        found[query, 0] = total / (weight + strength)
        found[query, 1] = last / (min(_LAST, end - begin) + strength)
        found[query, 2] = np.log1p((now[query] - times[events[begin]]) / _DAY)
        found[query, 3] = np.log1p((now[query] - times[events[end - 1]]) / _DAY)
        found[query, 4] = np.log1p(in_session)
        found[query, 5] = session / (in_session + strength)
    return found
