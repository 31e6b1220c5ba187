"""Events: raw interactions with an id and a label, without repetitions and unknown items."""

import hashlib
from dataclasses import dataclass
from typing import Any

import polars as pl

from curec_assets.datasets import schema
from resources.errors import DataError

_KEY = ("user_id", "item_id", "timestamp")
_EXAMPLES = 5


@dataclass(frozen=True)
class Outcome:
    """The events, and what was left out of them."""

    events: pl.DataFrame
    """`schema.INTERACTIONS`, ordered by time and event id."""
    repeated: int
    """Rows replaced by a later row with the same user, item and time."""
    unknown: int
    """Rows whose item is not in the catalogue."""
    unknown_items: list[str]
    """Some of those items' ids."""

    def left_out(self) -> dict[str, Any]:
        """What is not among the events, as plain JSON."""
        return {
            "repeated": self.repeated,
            "unknown": self.unknown,
            "unknown_items": self.unknown_items,
        }


def build_interactions(
    raw: pl.DataFrame, item_ids: pl.Series, *, liked_threshold: float
) -> Outcome:
    """Events of known items, one per (user, item, timestamp): the source's last row counts.

    Raises `DataError` when there is no event, or when more than half of them name unknown items.
    """
    known = raw.filter(pl.col("item_id").is_in(item_ids.implode()))
    unknown = raw.height - known.height
    unknown_items = (
        raw.filter(~pl.col("item_id").is_in(item_ids.implode()))["item_id"].unique().sort()
    )
    if not raw.height:
        raise DataError("found no interaction, expected at least one; check the interactions file")
    if unknown * 2 > raw.height:
        raise DataError(
            f"{unknown} of {raw.height} interactions name items that the catalogue lacks, such as "
            f"{_some(unknown_items)}; the catalogue has {item_ids.len()} items, such as "
            f"{_some(item_ids.sort())}. Check data.item_column in both files, or add the items"
        )
    kept = known.sort("row").unique(list(_KEY), keep="last", maintain_order=True)
    events = kept.with_columns(
        pl.Series("event_id", [event_id(*row) for row in kept.select(_KEY).iter_rows()], pl.Utf8),
        liked=pl.col("rating") >= liked_threshold,
    )
    return Outcome(
        events=events.select(list(schema.INTERACTIONS)).sort("timestamp", "event_id"),
        repeated=known.height - kept.height,
        unknown=unknown,
        unknown_items=unknown_items.head(_EXAMPLES).to_list(),
    )


def event_id(user_id: str, item_id: str, timestamp: int) -> str:
    """First 16 hex digits of a hash that no two different triples share by concatenation."""
    parts = (user_id, item_id, str(timestamp))
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _some(values: pl.Series) -> str:
    return ", ".join(repr(value) for value in values.head(_EXAMPLES))
