"""H(e): what a user did strictly before an event (or before any time).

Histories are not stored: a history is a run of the log sorted by (user, timestamp, event id), found
by binary search, and made for the events that are asked about. Those of a training snapshot come
from its own events (`event_splits`), so they stay as they were when newer ones arrive.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.datasets import schema

Ints = npt.NDArray[np.int64]
_ROWS_AT_ONCE = 10_000  # bounds the memory
_LISTS = {"item_ids": "item_id", "ratings": "rating", "likes": "liked", "timestamps": "timestamp"}


def histories_of(asked: pl.DataFrame, log: pl.DataFrame, max_history: int) -> pl.DataFrame:
    """`schema.HISTORIES`: one row per event of `asked` (event_id, user_id, timestamp), in order.

    A history holds the user's events in `log` with a strictly smaller timestamp, oldest first
    (equal times by event id), at most the latest `max_history`; `length` counts all of them.
    """
    log = log.join(asked.select("user_id").unique(), on="user_id", how="semi")
    found = _lookup(log, asked["user_id"], asked["timestamp"].to_numpy(), max_history)
    return pl.concat([asked.select("event_id", "user_id"), found], how="horizontal")


def histories_at(
    interactions: pl.DataFrame, user_ids: Sequence[str], before: int | None, max_history: int
) -> pl.DataFrame:
    """History of each user strictly before `before` (Unix seconds), or of all time when None.

    Same columns as `histories_of` without `event_id`, one row per given user id, in that order;
    users without events have empty lists.
    """
    users = pl.Series("user_id", list(user_ids), dtype=pl.Utf8)
    latest = np.iinfo(np.int64).max if before is None else before
    found = _lookup(interactions, users, np.full(len(users), latest, dtype=np.int64), max_history)
    return pl.concat([users.to_frame(), found], how="horizontal")


def _lookup(
    interactions: pl.DataFrame, users: pl.Series, before: Ints, max_history: int
) -> pl.DataFrame:
    """Columns of `schema.HISTORY`, one row per (user, before)."""
    events = interactions.sort("user_id", "timestamp", "event_id")
    times = events["timestamp"].to_numpy()
    codes, wanted = _codes(events["user_id"], users)
    # One sortable number per (user, rank of the time); a query looks for its first later event.
    moments = np.unique(times)
    stride = len(moments) + 1
    keys = codes * stride + np.searchsorted(moments, times)
    start = np.searchsorted(keys, wanted * stride)
    end = np.searchsorted(keys, wanted * stride + np.searchsorted(moments, before))
    length = end - start  # 0 for the code of unknown users, which is greater than any key
    shown = np.minimum(length, max_history)
    events = events.with_columns(pl.col("rating").fill_null(0.0))  # of what is drawn
    columns = events.select(**{name: pl.col(column) for name, column in _LISTS.items()})
    parts = [
        _runs(columns, (end - shown)[at : at + _ROWS_AT_ONCE], shown[at : at + _ROWS_AT_ONCE])
        for at in range(0, len(shown), _ROWS_AT_ONCE)
    ]
    lists = pl.concat(parts) if parts else _runs(columns, shown, shown)
    return lists.with_columns(length=length).cast(schema.HISTORY)


def _runs(columns: pl.DataFrame, first: Ints, count: Ints) -> pl.DataFrame:
    """Lists of the rows `first : first + count` of every column, one row per run."""
    rows = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    lists = (
        columns[np.repeat(first, count) + within]
        .with_columns(row=rows)
        .group_by("row", maintain_order=True)
        .agg(list(_LISTS))
    )
    empty = [pl.col(name).fill_null(pl.lit([], dtype=schema.HISTORY[name])) for name in _LISTS]
    return (
        pl.DataFrame({"row": np.arange(len(count))})
        .join(lists, on="row", how="left", maintain_order="left")
        .select(empty)
    )


def _codes(known: pl.Series, asked: pl.Series) -> tuple[Ints, Ints]:
    """Whole numbers in the order of the ids; ids that are not known get the next number after."""
    names = known.unique().sort()
    table = pl.DataFrame({"id": names, "code": np.arange(len(names), dtype=np.int64)})

    def code(ids: pl.Series) -> Ints:
        joined = ids.alias("id").to_frame().join(table, on="id", how="left", maintain_order="left")
        return joined["code"].fill_null(len(names)).to_numpy()

    return code(known), code(asked)
