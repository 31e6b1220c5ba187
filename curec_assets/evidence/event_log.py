"""The events of a store, laid out so that "everything strictly before t" is a slice.

`EventLog` holds every event once in time order, and twice as index: by user and by item. What a
user had rated before t is the beginning of that user's slice. No state walks along with time, so
numbers for new events cost only themselves, and nothing at or after t can be read by mistake.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

UNKNOWN = -1
"""Code of a user or an item that no event has."""


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
        """`interactions`: user_id, item_id, timestamp, rating, liked; in any order."""
        ordered = interactions.sort("timestamp", "user_id", "item_id")
        self.user_ids = ordered["user_id"].unique().sort()
        self.item_ids = ordered["item_id"].unique().sort()
        self.users = self._codes(ordered["user_id"], self.user_ids)
        self.items = self._codes(ordered["item_id"], self.item_ids)
        self.times: Ints = ordered["timestamp"].to_numpy().astype(np.int64)
        self.ratings: Floats = ordered["rating"].to_numpy().astype(np.float64)
        self.liked: Floats = ordered["liked"].to_numpy().astype(np.float64)
        self._beginnings: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.times)

    @property
    def queries(self) -> Queries:
        """Every event as a query."""
        return Queries(self.users, self.items, self.times)

    def encode(self, rows: pl.DataFrame) -> Queries:
        """user_id, item_id, timestamp of any rows, in their order."""
        return Queries(
            self._codes(rows["user_id"], self.user_ids),
            self._codes(rows["item_id"], self.item_ids),
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
    def by_time(self) -> "Index":
        """All events, as those of one owner."""
        return Index(np.zeros(len(self), dtype=np.int64), self.times, 1)

    def sizes(self, first: int, growth: float) -> Ints:
        """Numbers of events after which something is fitted again: `first`, then `growth` times.

        Events of one time are in one fit together.
        """
        sizes, size = [], float(first)
        while size <= len(self):
            sizes.append(int(np.searchsorted(self.times, self.times[int(size) - 1], side="right")))
            size *= growth
        return np.unique(np.array(sizes, dtype=np.int64))

    def beginning(self, size: int) -> str:
        """Digest of the first `size` events; codes, which later events change, are not in it."""
        if size not in self._beginnings:
            hasher = hashlib.sha256()
            for known, codes in ((self.user_ids, self.users), (self.item_ids, self.items)):
                ids = known.gather(codes[:size])
                hasher.update(ids.to_frame().write_ndjson().encode())
            for values in (self.times, self.ratings, self.liked):
                hasher.update(values[:size].tobytes())
            self._beginnings[size] = hasher.hexdigest()
        return self._beginnings[size]

    @staticmethod
    def _codes(values: pl.Series, known: pl.Series) -> Ints:
        codes = pl.DataFrame({"id": known}).with_row_index("code")
        found = pl.DataFrame({"id": values}).join(codes, on="id", how="left", maintain_order="left")
        return found["code"].cast(pl.Int64).fill_null(UNKNOWN).to_numpy().copy()


class Index:
    """Events grouped by owner (a user or an item), each group in time order."""

    def __init__(self, owners: Ints, times: Ints, size: int) -> None:
        """`owners`: (events,) code of each event's owner, events in time order."""
        self.events: Ints = np.argsort(owners, kind="stable")
        """Positions in the log, group after group."""
        self.starts: Ints = np.searchsorted(owners[self.events], np.arange(size + 1))
        """(size + 1,) where the group of each owner begins in `events`."""
        self._owners = owners
        self._moments = np.unique(times)
        self._keys = self._key(owners, times)[self.events]

    def before(self, owners: Ints, times: Ints) -> tuple[Ints, Ints]:
        """Begin and end in `events` of what each owner has strictly before each time.

        An empty slice for an owner that is `UNKNOWN`.
        """
        known = owners != UNKNOWN
        begin = np.where(known, self.starts[owners], 0)
        end = np.searchsorted(self._keys, self._key(owners, times), side="left")
        return begin, np.where(known, end, 0)

    def running(self, values: Floats) -> Floats:
        """(events,) sum of a value over an owner's events up to each, in the order of `events`.

        Each owner by itself: what others add later does not even change the rounding.
        """
        frame = pl.DataFrame({"owner": self._owners[self.events], "value": values[self.events]})
        return frame.select(pl.col("value").cum_sum().over("owner"))["value"].to_numpy()

    def total(self, running: Floats, owners: Ints, times: Ints) -> tuple[Floats, Ints]:
        """Sum and number of what each owner has strictly before each time; see `running`."""
        begin, end = self.before(owners, times)
        return np.where(end > begin, running[np.maximum(end - 1, 0)], 0.0), end - begin

    def _key(self, owners: Ints, times: Ints) -> Ints:
        moment = np.searchsorted(self._moments, times, side="left")
        keys: Ints = owners * (len(self._moments) + 1) + moment
        return keys
