"""Events: what the ledger holds now, of known items, with a label."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from curec_assets.datasets import schema
from resources.errors import DataError

_KEY = ("user_id", "item_id", "timestamp")
_EXAMPLES = 5
# First 16 hex digits of a hash that no two different triples share by concatenation.
_EVENT_IDS = """
    SELECT substr(sha256(concat(
        length(user_id), ':', user_id, length(item_id), ':', item_id, length(time), ':', time
    )), 1, 16) AS event_id
    FROM (SELECT user_id, item_id, timestamp::VARCHAR AS time FROM rows)
"""


@dataclass(frozen=True)
class Outcome:
    """The events, and what was left out of them."""

    events: pl.DataFrame
    """`schema.INTERACTIONS`, ordered by time and event id."""
    unknown: int
    """Rows whose item is not in the catalogue."""
    unknown_items: list[str]
    """Some of those items' ids."""


def with_event_ids(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with `user_id`, `item_id`, `timestamp`, and their `event_id`."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("rows", rows.select(_KEY))
        found = pl.from_arrow(connection.sql(_EVENT_IDS).to_arrow_table())
    return rows.with_columns(pl.DataFrame(found)["event_id"])


def build_interactions(
    current: pl.DataFrame, item_ids: pl.Series, *, liked_threshold: float | None
) -> Outcome:
    """Of events with id, user, item, rating and time, those of known items, with a label.

    `liked_threshold`: the least rating of a liked one; None where feedback is implicit: all are.
    """
    if liked_threshold is None:  # whatever was said of it: it was done
        label = {"liked": pl.lit(value=True), "rating": pl.lit(1.0)}
    else:
        label = {"liked": pl.col("rating") >= liked_threshold}
    known = current["item_id"].is_in(item_ids.implode())
    unknown = current.filter(~known)
    return Outcome(
        events=(current.filter(known) if unknown.height else current)
        .with_columns(**label)
        .select(list(schema.INTERACTIONS))
        .sort("timestamp", "event_id"),
        unknown=unknown.height,
        unknown_items=unknown["item_id"].unique().sort().head(_EXAMPLES).to_list(),
    )


def nobody_rates(events: pl.DataFrame) -> bool:
    """Whether feedback is implicit: some of `events` (`schema.INTERACTIONS`) are drawn."""
    return events["rating"].null_count() > 0


def require_mostly_known(found: Outcome, item_ids: pl.Series) -> None:
    """Raises `DataError` when there is no event, or more than half of them name unknown items."""
    events = found.events.height + found.unknown
    if not events:
        raise DataError("found no interaction, expected at least one; check the interactions file")
    if found.unknown * 2 > events:
        raise DataError(
            f"{found.unknown} of {events} interactions name items that the catalogue lacks, such "
            f"as {_some(found.unknown_items)}; the catalogue has {item_ids.len()} items, such as "
            f"{_some(item_ids.sort().head(_EXAMPLES))}. Check data.item_column in both files, or "
            "add the items"
        )


def _some(values: Iterable[str]) -> str:
    return ", ".join(repr(value) for value in values)
