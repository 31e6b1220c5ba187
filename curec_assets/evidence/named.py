"""What stands behind each kind of fact, for a person: an item or a value, and k of n.

Of the same strictly earlier events as the numbers. What speaks for and what speaks against may
differ (another item, another value), so each kind has both. Where nothing stands behind a kind,
nothing is said of it, whatever it contributes. Where feedback is implicit there is no k of n, for
who did not take an item is drawn; and nobody is called generous or strict.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.evidence.event_log import EventLog, Index, Ints
from curec_assets.evidence.numbers import EvidenceNumbers

_LATEST = 10
_GENEROSITY = ("habit", "lately")
_FOR, _AGAINST = 0, 3  # where the integers of either direction begin


@dataclass(frozen=True)
class Named:
    """Frames with known (whether anything stands behind it), value, liked, count and of; a row a
    query.
    """

    speaking_for: Mapping[str, pl.DataFrame]
    """Kind of fact → what speaks for the item."""
    speaking_against: Mapping[str, pl.DataFrame]
    raters: Ints
    """(queries,) earlier events of the item, and"""
    events: Ints
    """of the user."""
    drawn: bool
    """Whether feedback is implicit."""


def name(numbers: EvidenceNumbers, rows: pl.DataFrame) -> Named:
    """What stands behind the facts about rows with user_id, item_id, timestamp."""
    log = numbers.log
    queries = log.encode(rows)
    users, items, times = queries.users, queries.items, queries.times
    raters, events = _counts(log.by_item, items, times), _counts(log.by_user, users, times)
    neighbours = numbers.neighbours.read_all(queries).named
    either_way = {
        "crowd": _counted(_likes(log, log.by_item, items, times), raters),
        "trend": _counted(
            _likes(log, log.by_item, items, times, _LATEST), np.minimum(raters, _LATEST)
        ),
        "like_minded": _counted(neighbours[:, 6], neighbours[:, 7]),
        "taste": _frame(events > 0),
        "habit": _counted(_likes(log, log.by_user, users, times), events),
        "lately": _counted(
            _likes(log, log.by_user, users, times, _LATEST), np.minimum(events, _LATEST)
        ),
    }
    values, value_names = numbers.attributes.name(queries)
    reviews, words = numbers.reviews.name(queries), numbers.reviews.words
    speaking_for, speaking_against = (
        either_way
        | {
            "related": _related(numbers, neighbours[:, place : place + 3]),
            "attribute": _attribute(values[:, place : place + 3], value_names),
            "reviews": _attribute(reviews[:, place : place + 3], words),
        }
        for place in (_FOR, _AGAINST)
    )
    if not log.drawn:
        return Named(speaking_for, speaking_against, raters, events, drawn=False)
    takers = _likes(log, log.by_item, items, times)
    taken = _likes(log, log.by_user, users, times)
    implied = (_without_numbers(speaking_for), _without_numbers(speaking_against))
    return Named(*implied, takers, taken, drawn=True)


def _without_numbers(named: Mapping[str, pl.DataFrame]) -> Mapping[str, pl.DataFrame]:
    """As it can be said where nobody rated anything."""
    nothing = [pl.lit(None, pl.Boolean).alias("liked")]
    nothing += [pl.lit(None, pl.Int64).alias(name) for name in ("count", "of")]
    return {
        kind: rows.with_columns(*nothing, pl.lit(value=False).alias("known"))
        if kind in _GENEROSITY
        else rows.with_columns(nothing)
        for kind, rows in named.items()
    }


def _related(numbers: EvidenceNumbers, found: Ints) -> pl.DataFrame:
    """`found`: (queries, 3) event of the log (-1: none), likes, raters."""
    log, known = numbers.log, found[:, 0] >= 0
    event = np.maximum(found[:, 0], 0)
    return _frame(
        known,
        value=log.item_ids.gather(log.items[event]),
        liked=pl.Series(log.liked[event] > 0.5),
        count=found[:, 1],
        of=found[:, 2],
    )


def _attribute(found: Ints, names: pl.Series) -> pl.DataFrame:
    """`found`: (queries, 3) code of a value (-1: none), likes, events."""
    known = found[:, 0] >= 0
    if not known.any():
        return _frame(known)
    return _frame(
        known, value=names.gather(np.maximum(found[:, 0], 0)), count=found[:, 1], of=found[:, 2]
    )


def _counted(count: Ints, of: Ints) -> pl.DataFrame:
    return _frame(of > 0, count=count, of=of)


def _frame(
    known: npt.NDArray[np.bool_],
    *,
    value: pl.Series | None = None,
    liked: pl.Series | None = None,
    count: Ints | None = None,
    of: Ints | None = None,
) -> pl.DataFrame:
    """Null wherever nothing is known."""
    empty = [None] * len(known)
    return pl.DataFrame(
        {
            "known": known,
            "value": empty if value is None else value,
            "liked": empty if liked is None else liked,
            "count": empty if count is None else count,
            "of": empty if of is None else of,
        },
        schema={
            "known": pl.Boolean(),
            "value": pl.String(),
            "liked": pl.Boolean(),
            "count": pl.Int64(),
            "of": pl.Int64(),
        },
    ).with_columns(pl.when("known").then(pl.col("value", "liked", "count", "of")))


def _counts(index: Index, owners: Ints, times: Ints) -> Ints:
    begin, end = index.before(owners, times)
    return end - begin


def _likes(
    log: EventLog, index: Index, owners: Ints, times: Ints, latest: int | None = None
) -> Ints:
    """(queries,) likes among the owner's earlier events, or among the latest of them."""
    likes, _ = index.total(log.liked, owners, times)
    if latest is not None:
        likes -= index.total(log.liked, owners, times, but=latest)[0]
    found: Ints = np.rint(likes).astype(np.int64)
    return found
