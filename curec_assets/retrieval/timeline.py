"""The events of a log over one catalogue, laid out so that "strictly before t" is a slice.

`Asked` holds users and times that something is wanted for. Every method reads events with a
strictly smaller timestamp only, so what is said of a moment cannot change when the future does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.evidence.event_log import UNKNOWN, Index, Ints

Floats = npt.NDArray[np.float32]

DAY = 86_400  # seconds


@dataclass(frozen=True)
class Asked:
    """(queries,) user codes (`UNKNOWN` without events) and times, in seconds."""

    users: Ints
    times: Ints

    def __len__(self) -> int:
        return len(self.users)

    def of(self, rows: Ints | slice) -> "Asked":
        """Some of them."""
        return Asked(self.users[rows], self.times[rows])


class Timeline:
    """Events of the catalogue's items in time order; equal times by user, then item."""

    def __init__(self, log: pl.DataFrame, item_ids: Sequence[str]) -> None:
        """`log`: user_id, item_id, liked, timestamp, in any order; `item_ids`: the catalogue.

        Events of other items are left out.
        """
        self.item_ids = tuple(item_ids)
        self._item_codes = _codes(pl.Series(self.item_ids, dtype=pl.String))
        ordered = (
            log.select("user_id", "item_id", "liked", "timestamp")
            .join(self._item_codes, left_on="item_id", right_on="id", maintain_order="left")
            .sort("timestamp", "user_id", "item_id")
        )
        self._user_codes = _codes(ordered["user_id"].unique().sort())
        self.users = _encode(ordered["user_id"], self._user_codes)
        self.items: Ints = ordered["code"].to_numpy()
        self.times: Ints = ordered["timestamp"].to_numpy().astype(np.int64)
        self.liked: npt.NDArray[np.bool_] = ordered["liked"].to_numpy()
        self.likes: Ints = np.flatnonzero(self.liked)
        """Positions of likes."""
        size = self._user_codes.height
        self.by_user = Index(self.users, self.times, size)
        self.likes_by_user = Index(self.users[self.likes], self.times[self.likes], size)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def size(self) -> int:
        """Items of the catalogue."""
        return len(self.item_ids)

    def ask(self, queries: pl.DataFrame) -> Asked:
        """user_id, timestamp of any rows, in their order."""
        times = queries["timestamp"].to_numpy().astype(np.int64)
        return Asked(_encode(queries["user_id"], self._user_codes), times)

    def item_codes(self, item_ids: pl.Series) -> Ints:
        """Places in the catalogue; `UNKNOWN` for what is not in it."""
        return _encode(item_ids, self._item_codes)

    def before(self, times: Ints) -> Ints:
        """Number of events strictly before each time."""
        return np.searchsorted(self.times, times, side="left")

    def histories(
        self, asked: Asked, *, liked: bool = False, latest: int | None = None, decay: float = 1.0
    ) -> Any:
        """(queries, items) sparse weights of what each user did (`liked`: liked) before the time.

        The `latest` events count; the newest 1, the one before it `decay`, and so on.
        """
        from scipy.sparse import csr_matrix

        index = self.likes_by_user if liked else self.by_user
        begin, end = index.before(asked.users, asked.times)
        if latest is not None:
            begin = np.maximum(begin, end - latest)
        counts = end - begin
        bounds = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(bounds[-1]) - np.repeat(bounds[:-1], counts)
        events = index.events[np.repeat(begin, counts) + within]
        if liked:
            events = self.likes[events]
        weights = decay ** (np.repeat(counts, counts) - 1 - within)
        shape = (len(asked), self.size)
        return csr_matrix((weights.astype(np.float32), self.items[events], bounds), shape=shape)

    def seen(self, asked: Asked) -> npt.NDArray[np.bool_]:
        """(queries, items) whether the user had an event with the item before."""
        return self.histories(asked).toarray() > 0

    def last(self, asked: Asked) -> tuple[Ints, Ints]:
        """Time of each user's latest event before (the query's own without one), and how many."""
        begin, end = self.by_user.before(asked.users, asked.times)
        if not len(self):
            return asked.times, end - begin
        latest = self.times[self.by_user.events[np.maximum(end - 1, 0)]]
        return np.where(end > begin, latest, asked.times), end - begin

    def since(self, asked: Asked, span: int) -> Ints:
        """Number of the user's events in the `span` seconds before each time."""
        ends = self.by_user.before(asked.users, asked.times)
        return ends[1] - self.by_user.before(asked.users, asked.times - span)[1]


def in_blocks(
    timeline: Timeline, asked: Asked, every: int
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Cut time, and rows of the queries that may know what happened strictly before the cut.

    A cut is the time of every `every`-th event. The cut that a query gets depends on the number of
    events strictly before the query alone, and is earlier than the query.
    """
    block = np.maximum(timeline.before(asked.times) - 1, 0) // every
    for number in np.unique(block):
        rows = np.flatnonzero(block == number)
        first = number * every
        yield int(timeline.times[first]) if first < len(timeline) else 0, rows


def _codes(ids: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"id": ids}).with_columns(code=pl.int_range(pl.len(), dtype=pl.Int64))


def _encode(ids: pl.Series, codes: pl.DataFrame) -> Ints:
    found = pl.DataFrame({"id": ids}).join(codes, on="id", how="left", maintain_order="left")
    return found["code"].fill_null(UNKNOWN).to_numpy().copy()
