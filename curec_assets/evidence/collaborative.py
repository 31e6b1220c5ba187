"""Collaborative evidence: which of a user's items other users' behaviour relates to a candidate.

For a pair of items at time t, counting *other* users' training likes strictly before t only:

    similarity(i, j) = both / (sqrt(users who liked i * users who liked j) + shrinkage)

where `both` is the number of users who liked i and j. A cosine with a shrinkage term; the formula
is our choice. Time is walked once: all evidence of a timestamp is computed before the likes of that
timestamp are added. The likes are one bit per (item, user), so that 50 co-like counts are one `and`
and one population count.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.datasets import schema
from curec_assets.settings import EvidenceSettings

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint64]

_ROWS_AT_ONCE = 8_000  # targets whose histories are laid out flat together: bounds the memory
_TARGET = ("user_id", "item_id", "timestamp", "item_ids", "likes", "timestamps")
_ITEM = ("row", "item_id")


def train_likes(event_splits: pl.DataFrame) -> pl.DataFrame:
    """The likes that similarity counts: user_id, item_id, timestamp of liked training events."""
    chosen = event_splits.filter(pl.col("liked") & (pl.col("split") == "train"))
    return chosen.select("user_id", "item_id", "timestamp")


def collaborative_evidence(
    likes: pl.DataFrame,
    interactions: pl.DataFrame,
    histories: pl.DataFrame,
    settings: EvidenceSettings,
) -> pl.DataFrame:
    """`schema.COLLABORATIVE_EVIDENCE`: one row per event, ordered by time and event id."""
    events = interactions.sort("timestamp", "event_id")
    targets = events.select("event_id", "user_id", "item_id", "timestamp").join(
        histories.select("event_id", "item_ids", "likes", "timestamps"),
        on="event_id",
        how="inner",
        maintain_order="left",
    )
    found = evidence_for(targets, likes, settings)
    return pl.concat([targets.select("event_id"), found], how="horizontal")


def evidence_for(
    targets: pl.DataFrame, likes: pl.DataFrame, settings: EvidenceSettings
) -> pl.DataFrame:
    """Evidence for any (user, candidate item, time) with a history: `schema.EVIDENCE`.

    `targets`: user_id, item_id, timestamp and the history's item_ids, likes, timestamps; for a
    recommendation now, use a timestamp after the last event. `likes`: see `train_likes`. One row
    per target, in its order: at most `max_liked` liked and `max_disliked` disliked history items,
    most similar first, then most recent, then by item id. An item that occurs several times counts
    by its latest occurrence; the candidate itself is never its own evidence.
    """
    numbered = targets.select(_TARGET).with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
    walk = numbered.sort("timestamp", "row", maintain_order=True)
    counter = _CoLikes(likes)
    parts = [
        _choose(_with_similarity(batch, counter, settings.shrinkage), settings)
        for batch in walk.iter_slices(_ROWS_AT_ONCE)
    ]
    chosen = pl.concat(parts) if parts else numbered.select("row")
    columns = [
        pl.col(name).fill_null(pl.lit([], dtype=dtype)) if parts else pl.lit([], dtype=dtype)
        for name, dtype in schema.EVIDENCE.items()
    ]
    return (
        numbered.select("row")
        .join(chosen, on="row", how="left", maintain_order="left")
        .select(*(c.alias(name) for c, name in zip(columns, schema.EVIDENCE, strict=True)))
    )


def _with_similarity(batch: pl.DataFrame, counter: "_CoLikes", shrinkage: float) -> pl.DataFrame:
    """One row per (target, history item): row, item_id, liked, time, similarity."""
    flat = (
        batch.filter(pl.col("item_ids").list.len() > 0)
        .explode("item_ids", "likes", "timestamps")
        .select(
            "row",
            "user_id",
            "timestamp",
            candidate="item_id",
            item_id="item_ids",
            liked="likes",
            time="timestamps",
        )
        .unique(list(_ITEM), keep="last", maintain_order=True)
        .filter(pl.col("item_id") != pl.col("candidate"))
    )
    both, first, second = counter.counts(
        flat["row"].to_numpy(),
        flat["timestamp"].to_numpy(),
        counter.user_codes(flat["user_id"]),
        counter.item_codes(flat["candidate"]),
        counter.item_codes(flat["item_id"]),
    )
    divisor = np.sqrt((first * second).astype(np.float64)) + shrinkage
    similarity = np.divide(both, divisor, out=np.zeros(len(both)), where=divisor > 0)
    return flat.select("row", "item_id", "liked", "time").with_columns(similarity=similarity)


def _choose(flat: pl.DataFrame, settings: EvidenceSettings) -> pl.DataFrame:
    """Best items per target: row and the columns of `schema.EVIDENCE` (null where none)."""
    ordered = flat.sort(
        ["row", "similarity", "time", "item_id"], descending=[False, True, True, False]
    )
    return ordered.group_by("row", maintain_order=True).agg(
        liked_ids=_best("item_id", liked=True, limit=settings.max_liked),
        liked_similarities=_best("similarity", liked=True, limit=settings.max_liked),
        disliked_ids=_best("item_id", liked=False, limit=settings.max_disliked),
        disliked_similarities=_best("similarity", liked=False, limit=settings.max_disliked),
    )


def _best(column: str, *, liked: bool, limit: int) -> pl.Expr:
    return pl.col(column).filter(pl.col("liked") == liked).head(limit)


class _CoLikes:
    """Who has liked what so far. Times asked for must not go backwards."""

    def __init__(self, likes: pl.DataFrame) -> None:
        # A user's first like of an item is the one that counts.
        first = likes.group_by("user_id", "item_id").agg(pl.col("timestamp").min())
        first = first.sort("timestamp", "user_id", "item_id")
        self._users = _Codes(first["user_id"])
        self._items = _Codes(first["item_id"])
        self._times: Ints = first["timestamp"].to_numpy()
        self._liker = self._users(first["user_id"])
        self._liked = self._items(first["item_id"])
        # The last row of each stands for what nobody has liked; it stays empty.
        words = len(self._users) // 64 + 1
        self._bits: Bits = np.zeros((len(self._items) + 1, words), dtype=np.uint64)
        self._counts: Ints = np.zeros(len(self._items) + 1, dtype=np.int64)
        self._added = 0

    def user_codes(self, ids: pl.Series) -> Ints:
        """Codes of users; one past the last for users who like nothing."""
        return self._users(ids)

    def item_codes(self, ids: pl.Series) -> Ints:
        """Codes of items; one past the last for items that nobody likes."""
        return self._items(ids)

    def counts(
        self, rows: Ints, times: Ints, users: Ints, candidates: Ints, items: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """Users who liked both, the candidate, the item: before the time, the own user left out.

        All arguments have one entry per (target, history item); `rows` tells targets apart and
        `times` do not decrease.
        """
        both, first, second = (np.zeros(len(rows), dtype=np.int64) for _ in range(3))
        begins = np.flatnonzero(np.diff(rows, prepend=-1))
        ends = np.append(begins, len(rows))[1:]
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            self._add_before(times[begin])
            run, user, candidate = items[begin:end], users[begin], candidates[begin]
            theirs = self._bits[run]  # (items, words)
            common = theirs & self._bits[candidate]
            word, bit = user // 64, np.uint64(user % 64)
            own = (theirs[:, word] >> bit & np.uint64(1)).astype(np.int64)
            own_candidate = int(self._bits[candidate, word] >> bit & np.uint64(1))
            own_both = own * own_candidate
            both[begin:end] = np.bitwise_count(common).sum(axis=1, dtype=np.int64) - own_both
            first[begin:end] = self._counts[candidate] - own_candidate
            second[begin:end] = self._counts[run] - own
        return both, first, second

    def _add_before(self, time: int) -> None:
        while self._added < len(self._times) and self._times[self._added] < time:
            item, user = self._liked[self._added], self._liker[self._added]
            self._bits[item, user // 64] |= np.uint64(1) << np.uint64(user % 64)
            self._counts[item] += 1
            self._added += 1


class _Codes:
    """Whole numbers for ids; ids never seen share the number after the last."""

    def __init__(self, ids: pl.Series) -> None:
        known = ids.unique().sort()
        self._table = pl.DataFrame({"id": known, "code": pl.int_range(known.len(), eager=True)})

    def __len__(self) -> int:
        return self._table.height

    def __call__(self, ids: pl.Series) -> Ints:
        asked = ids.alias("id").to_frame()
        joined = asked.join(self._table, on="id", how="left", maintain_order="left")
        return joined["code"].fill_null(len(self)).cast(pl.Int64).to_numpy()
