"""Events as the reward model reads them: item indices, padded histories, rows of reasons.

No torch and no text encoder here: a reason is a row number of a matrix that the caller encodes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curec_assets.core.seeds import derive
from curec_assets.networks.vocabulary import Vocabulary
from resources.errors import DataError

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

NO_REASON = -1
"""In `Events.reason`: this event has none."""
_SIGNAL = {False: 1, True: 2}  # as in `model.py`; 0 is padding


@dataclass(frozen=True)
class PooledHistory:
    """A reward-fold user's history, to be lent to other users' events."""

    user_id: str
    item_ids: tuple[str, ...]
    """Oldest first."""
    likes: tuple[bool, ...]


@dataclass(frozen=True)
class Events:
    """n events, encoded."""

    items: Ints
    """(n,) item rows."""
    history: Ints
    """(n, positions) item rows, oldest first, padded at the end."""
    signals: Ints
    """(n, positions) 0 padding, 1 disliked, 2 liked."""
    liked: Floats
    """(n,) 0 or 1."""
    reason: Ints
    """(n,) row of the reason's embedding, or NO_REASON."""
    users: NDArray[np.str_]
    """(n,) user ids."""

    def __len__(self) -> int:
        """Number of events."""
        return len(self.items)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "Events":
        """The events at `index` (positions or a mask)."""
        return Events(
            self.items[index],
            self.history[index],
            self.signals[index],
            self.liked[index],
            self.reason[index],
            self.users[index],
        )


def pad_histories(
    vocabulary: Vocabulary,
    histories: Sequence[tuple[Sequence[str], Sequence[bool]]],
    positions: int,
) -> tuple[Ints, Ints]:
    """Item rows and signals, (n, positions) each, of the latest `positions` items per history."""
    rows = np.zeros((len(histories), positions), dtype=np.int64)
    signals = np.zeros((len(histories), positions), dtype=np.int64)
    for index, (items, likes) in enumerate(histories):
        kept = min(len(items), positions)
        if kept:
            rows[index, :kept] = vocabulary.rows(items[-kept:])
            signals[index, :kept] = [_SIGNAL[bool(like)] for like in likes[-kept:]]
    return rows, signals


def encode_events(
    frame: pl.DataFrame,
    vocabulary: Vocabulary,
    reason_rows: Mapping[str, int],
    positions: int,
) -> Events:
    """Rows of `events_with_histories` as arrays.

    `reason_rows`: event_id → row of its reason's embedding; events that are not in it have none.
    """
    pairs = list(zip(frame["item_ids"].to_list(), frame["likes"].to_list(), strict=True))
    history, signals = pad_histories(vocabulary, pairs, positions)
    reasons = [reason_rows.get(event, NO_REASON) for event in frame["event_id"]]
    return Events(
        items=np.array(vocabulary.rows(frame["item_id"]), dtype=np.int64),
        history=history,
        signals=signals,
        liked=frame["liked"].to_numpy().astype(np.float32),
        reason=np.array(reasons, dtype=np.int64),
        users=np.array(frame["user_id"].to_list(), dtype=np.str_),
    )


def reward_events(event_splits: pl.DataFrame, drafts: pl.DataFrame) -> pl.DataFrame:
    """The only events that the reward model reads: its fold, and validation events with a draft.

    Raises `DataError` when a draft belongs to any other event (policy fold, test, or unknown): a
    reward model fitted on such an event would later score what it has seen.
    """
    misplaced = misplaced_drafts(event_splits, drafts)
    if misplaced.height:
        example = misplaced.row(0, named=True)
        raise DataError(
            f"draft_reasons holds {misplaced.height} events outside the reward fold and "
            f"validation, such as {example}; drafts may only belong to events with fold 'reward' "
            "or split 'validation'. Materialise event_splits and draft_reasons again, in this order"
        )
    wanted = (pl.col("fold") == "reward") | (
        (pl.col("split") == "validation") & pl.col("event_id").is_in(drafts["event_id"].to_list())
    )
    columns = ["event_id", "user_id", "item_id", "liked", "split", "fold"]
    return event_splits.filter(wanted).select(columns).sort("event_id")


def misplaced_drafts(event_splits: pl.DataFrame, drafts: pl.DataFrame) -> pl.DataFrame:
    """Drafts (event_id, split, fold) that are neither of the reward fold nor of validation."""
    placed = drafts.select("event_id").join(
        event_splits.select("event_id", "split", "fold"), on="event_id", how="left"
    )
    allowed = (pl.col("fold") == "reward") | (pl.col("split") == "validation")
    return placed.filter(~allowed.fill_null(False))


def events_with_histories(events: pl.DataFrame, histories: pl.DataFrame) -> pl.DataFrame:
    """`reward_events` with the lists item_ids and likes of `histories`."""
    lists = histories.select("event_id", "item_ids", "likes")
    return events.join(lists, on="event_id", how="left", maintain_order="left")


def pooled_histories(frame: pl.DataFrame, seed: int, size: int = 256) -> tuple[PooledHistory, ...]:
    """The longest training history of each of `size` seeded reward-fold users (all, if fewer).

    `frame`: rows of `events_with_histories`.
    """
    longest = (
        frame.filter((pl.col("fold") == "reward") & (pl.col("item_ids").list.len() > 0))
        .sort(pl.col("item_ids").list.len(), "event_id", descending=[True, False])
        .unique("user_id", keep="first", maintain_order=True)
    )
    rows = longest.select("user_id", "item_ids", "likes").rows()
    ranked = sorted(rows, key=lambda row: (derive(seed, "reward-pool", row[0]), row[0]))
    return tuple(PooledHistory(user, tuple(i), tuple(likes)) for user, i, likes in ranked[:size])


def held_out_users(users: Iterable[str], seed: int, share: float = 0.1) -> frozenset[str]:
    """A seeded tenth (at least one) of the reward fold's users, by hash of the user id.

    Raises `DataError` for fewer than two users, of whom none could be left to fit on.
    """
    ranked = sorted(set(users), key=lambda user: (derive(seed, "reward-held-out", user), user))
    if len(ranked) < 2:
        raise DataError(
            f"the reward fold has {len(ranked)} users, but fitting and choosing the epoch need at "
            "least 2; use more data or a larger split.reward_fold_fraction"
        )
    return frozenset(ranked[: max(1, round(share * len(ranked)))])


def other_users(users: NDArray[np.str_], rng: np.random.Generator) -> Ints:
    """For each row a random row of *another* user: (n,) row numbers; empty if there is one user."""
    order = np.argsort(users, kind="stable")
    _, first, inverse, counts = np.unique(
        users[order], return_index=True, return_inverse=True, return_counts=True
    )
    if len(counts) < 2:
        return np.empty(0, dtype=np.int64)
    # In sorted order a user's rows are a block; draw among the rest and step over the block.
    start, size = first[inverse], counts[inverse]
    drawn = rng.integers(0, len(users) - size)
    drawn = np.where(drawn >= start, drawn + size, drawn)
    partner = np.empty(len(users), dtype=np.int64)
    partner[order] = order[drawn]
    return partner
