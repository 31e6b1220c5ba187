"""The events of a store, laid out so that "everything strictly before t" is a slice.

`EventLog` holds every event once in time order, and twice as index: by user and by item. What a
user had rated before t is the beginning of that user's slice. No state walks along with time, so
numbers for new events cost only themselves, and nothing at or after t can be read by mistake.

It is made for tens of millions of events: an event is a few numbers in columns, an index their
places, a history a beginning and an end. No event is an object, and nothing is held per (user,
item).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.evidence.walks import (
    before,
    means_before_each,
    sums_before,
)

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
"""Of users, items and events: half the memory."""
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.float32]
"""0.0 or 1.0."""

UNKNOWN = -1
"""Code of a user or an item that no event has."""
COLUMNS_READ = ("user_id", "item_id", "timestamp", "rating", "liked", "opinions")
"""What a log is made from."""
MANY = 1_000_000
GROWTH_OF_MANY = 1.25
"""See `EventLog.sizes`."""
_ROWS = 500_000  # that are hashed at once


@dataclass(frozen=True)
class Queries:
    """(user, item, time) whose numbers are wanted; arrays of one length.

    Codes are those of the `EventLog`; `UNKNOWN` for a user or item without events.
    """

    users: Ints
    items: Ints
    times: Ints

    def __len__(self) -> int:
        return len(self.users)

    def of(self, rows: npt.NDArray[np.bool_] | Ints | slice) -> "Queries":
        """Some of them."""
        return Queries(self.users[rows], self.items[rows], self.times[rows])


class EventLog:
    """Events in time order, equal times in the order of user and item."""

    def __init__(self, interactions: pl.DataFrame) -> None:
        """`interactions`: `COLUMNS_READ`, in any order; may lack opinions."""
        self.user_ids = interactions["user_id"].unique().sort()
        self.item_ids = interactions["item_id"].unique().sort()
        users = _codes(interactions["user_id"], self.user_ids).astype(np.int32)
        items = _codes(interactions["item_id"], self.item_ids).astype(np.int32)
        times = interactions["timestamp"].to_numpy()
        order = np.lexsort((items, users, times))  # codes are in the order of the ids
        self.users: Codes = users[order]
        self.items: Codes = items[order]
        self.times: Ints = times[order].astype(np.int64, copy=False)
        ratings = interactions["rating"]
        self.drawn = ratings.null_count() > 0
        """Whether there are events that nobody did (`datasets.drawn`): their rating counts as 0."""
        self.ratings: Floats = ratings.fill_null(0.0).to_numpy()[order].astype(float, copy=False)
        self.liked: Flags = interactions["liked"].to_numpy()[order].astype(np.float32)
        self.opinions: pl.Series | None = None
        """(events,) what their reviews praise and find fault with (`datasets.opinions`), where any
        does."""
        if "opinions" in interactions and interactions["opinions"].null_count() < len(self):
            self.opinions = interactions["opinions"].gather(order)
        self._beginnings: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.times)

    def encode(self, rows: pl.DataFrame) -> Queries:
        """user_id, item_id, timestamp of any rows, in their order."""
        return Queries(
            _codes(rows["user_id"], self.user_ids),
            _codes(rows["item_id"], self.item_ids),
            rows["timestamp"].to_numpy().astype(np.int64),
        )

    @cached_property
    def by_user(self) -> "Index":
        """The events of each user."""
        return Index(self.users, self.times, len(self.user_ids))

    @cached_property
    def by_item(self) -> "Index":
        """The events of each item."""
        return Index(self.items, self.times, len(self.item_ids))

    @cached_property
    def of_users(self) -> "UserOrder":
        """Columns in the order of `by_user`."""
        order = self.by_user.events
        return UserOrder(self.items[order], self.times[order], self.liked[order])

    def earlier(self, times: Ints) -> Ints:
        """(times,) how many events are strictly before each time."""
        return np.searchsorted(self.times, times, side="left").astype(np.int64)

    def total(self, values: Floats | Flags, times: Ints) -> tuple[Floats, Ints]:
        """Sum and number over all events strictly before each time. `values`: (events,)."""
        end = self.earlier(times)
        running = np.zeros(len(self) + 1)
        np.cumsum(values, dtype=np.float64, out=running[1:])
        return running[end], end

    def means(self, values: Floats | Flags, times: Ints) -> Floats:
        """(times,) mean over all events strictly before each time; 0 before the first."""
        total, count = self.total(values, times)
        means: Floats = total / np.maximum(count, 1)
        return means

    def sizes(self, first: int, growth: float, many: int = MANY) -> Ints:
        """Numbers of events after which something is fitted again: `first`, then `growth` times;
        from `many` on `GROWTH_OF_MANY` times, for each fit reads all events before it.

        Events of one time are in one fit together.
        """
        sizes, size = [], float(first)
        while int(size) <= len(self):
            sizes.append(int(np.searchsorted(self.times, self.times[int(size) - 1], side="right")))
            size *= growth if size < many else max(growth, GROWTH_OF_MANY)
        return np.unique(np.array(sizes, dtype=np.int64))

    def beginning(self, size: int) -> str:
        """Digest of the first `size` events; codes, which later events change, are not in it."""
        if size not in self._beginnings:
            hasher = hashlib.sha256()
            for known, codes in ((self.user_ids, self.users), (self.item_ids, self.items)):
                for rows in _slices(size):
                    hasher.update(known.gather(codes[rows]).to_frame().write_ndjson().encode())
            for values in (self.times, self.ratings, self.liked):
                for rows in _slices(size):
                    wide = values[rows].astype(values.dtype if values is self.times else np.float64)
                    hasher.update(wide.tobytes())
            self._beginnings[size] = hasher.hexdigest()
        return self._beginnings[size]


@dataclass(frozen=True)
class UserOrder:
    """(events,) columns of a log, user after user, each in time order."""

    items: Codes
    times: Ints
    liked: Flags


class Index:
    """Events grouped by owner (a user or an item), each group in time order."""

    def __init__(self, owners: Ints | Codes, times: Ints, size: int) -> None:
        """`owners`: (events,) code of each event's owner, events in time order."""
        self.events: Codes = np.argsort(owners, kind="stable").astype(np.int32)
        """Positions in the log, group after group."""
        self.starts: Ints = np.zeros(size + 1, dtype=np.int64)
        """(size + 1,) where the group of each owner begins in `events`."""
        np.cumsum(np.bincount(owners, minlength=size), out=self.starts[1:])
        self._times = times

    @property
    def first(self) -> Codes:
        """(size,) position in the log of each owner's first event; every owner has one."""
        return self.events[self.starts[:-1]]

    def before(self, owners: Ints | Codes, times: Ints) -> tuple[Ints, Ints]:
        """Begin and end in `events` of what each owner has strictly before each time.

        An empty slice for an owner that is `UNKNOWN`.
        """
        begin, end = before(owners, times, self.starts, self.events, self._times)
        return begin, end

    def total(
        self, values: Floats | Flags, owners: Ints, times: Ints, *, but: int = 0
    ) -> tuple[Floats, Ints]:
        """Sum and number of what each owner has strictly before each time, `but` for so many of the
        latest.

        `values`: (events,) in the order of the log. An owner's are added in time order, so that
        what comes later does not even change the rounding.
        """
        begin, end = self.before(owners, times)
        end = np.maximum(begin, end - but)
        order = np.lexsort((end, owners))
        return sums_before(order, owners, begin, end, self.events, values), end - begin

    def means_before_each(self, values: Floats | Flags, strength: float, prior: Floats) -> Floats:
        """(events,) of each event its owner's shrunk mean over strictly earlier ones.

        `prior`: (events,) what it is shrunk to.
        """
        found: Floats = means_before_each(
            self.starts, self.events, self._times, values, strength, prior
        )
        return found


def _codes(values: pl.Series, known: pl.Series) -> Ints:
    codes = pl.DataFrame({"id": known}).with_row_index("code")
    found = pl.DataFrame({"id": values}).join(codes, on="id", how="left", maintain_order="left")
    return found["code"].cast(pl.Int64).fill_null(UNKNOWN).to_numpy().copy()


def _slices(size: int) -> Iterator[slice]:
    for begin in range(0, size, _ROWS):
        yield slice(begin, min(begin + _ROWS, size))
