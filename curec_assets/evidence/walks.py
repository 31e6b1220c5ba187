"""Loops over the events of an owner (a user or an item), compiled: what comes before a time.

An owner's events are `events[starts[owner]:starts[owner + 1]]`, positions in the log, in time
order. Only the slices of the owners that are asked about are walked, and nothing is kept per event
that is not asked for.
"""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[Any]  # of any width: the loops are compiled for each


@numba.njit(cache=True)
def first_since(low: int, high: int, events: _Array, log_times: _Array, now: int) -> int:
    """Of the places `low` to `high` in `events`, which are in time order, the first that is not
    before `now`; `high` where all are.
    """
    while low < high:
        middle = (low + high) // 2
        if log_times[events[middle]] < now:
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(cache=True)
def before(
    owners: _Array, times: _Array, starts: _Array, events: _Array, log_times: _Array
) -> tuple[_Array, _Array]:
    """Begin and end in `events` of each owner's strictly earlier ones, by bisection."""
    begins = np.zeros(len(owners), dtype=np.int64)
    ends = np.zeros(len(owners), dtype=np.int64)
    for query in range(len(owners)):
        owner, now = owners[query], times[query]
        if owner < 0:
            continue
        begins[query] = starts[owner]
        ends[query] = first_since(starts[owner], starts[owner + 1], events, log_times, now)
    return begins, ends


@numba.njit(cache=True)
def sums_before(
    order: _Array, owners: _Array, begins: _Array, ends: _Array, events: _Array, values: _Array
) -> _Array:
    """(queries,) sum of a value over `events[begin:end]`.

    `order`: of the queries, by owner, then end: each owner's events are added once.
    """
    found = np.zeros(len(owners))
    last = -1
    position, total = 0, 0.0
    for query in order:
        if owners[query] < 0:
            continue
        if owners[query] != last:
            last = owners[query]
            position, total = begins[query], 0.0
        while position < ends[query]:
            total += values[events[position]]
            position += 1
        found[query] = total
    return found


@numba.njit(cache=True)
def means_before_each(
    starts: _Array,
    events: _Array,
    log_times: _Array,
    values: _Array,
    strength: float,
    prior: _Array,
) -> _Array:
    """(events,) of each event the shrunk mean of a value over its owner's strictly earlier ones."""
    found = np.zeros(len(events))
    for owner in range(len(starts) - 1):
        first, last = starts[owner], starts[owner + 1]
        total, position = 0.0, first
        while position < last:
            now = log_times[events[position]]
            after = position
            while after < last and log_times[events[after]] == now:
                event = events[after]
                found[event] = (total + strength * prior[event]) / (position - first + strength)
                after += 1
            for at in range(position, after):
                total += values[events[at]]
            position = after
    return found
