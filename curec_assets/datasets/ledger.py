"""The ledger of events: what each file said, as revisions that are added and never altered.

An event is a user, an item and a time; a revision adds it, corrects its rating or what its review
says, or deletes it.

A file that is read again supersedes what it said before: an event that it no longer has is deleted.
An event that several files say alike is the first one's.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curec_assets.datasets import schema
from curec_assets.datasets.interactions import with_event_ids
from curec_assets.datasets.sources.source import DataSource
from resources.errors import DataError

ADD, CORRECT, DELETE = "add", "correct", "delete"
Known = Callable[[pl.DataFrame], pl.DataFrame]
"""Ledger rows whose values in the columns of a frame are one of its rows."""


@dataclass(frozen=True)
class Read:
    """One file, as it is now."""

    name: str
    rows: pl.DataFrame
    """`schema.RAW_INTERACTIONS`."""
    supersedes: bool
    """Whether the ledger may have revisions from an earlier content of it."""
    whole: bool
    """Whether it says everything, so that whatever it does not have is deleted."""
    vouched_for: bool
    """Whether whoever wrote it has said that it is complete."""


@dataclass(frozen=True)
class Revisions:
    """What files add to the ledger."""

    rows: pl.DataFrame
    """`schema.EVENTS`, by sequence."""
    metrics: Mapping[str, Any]
    """`sequence` and `batch` of the last revision, `current`: events that are not deleted,
    `rows_read`, `repeated`: rows that a later row of the same file replaced."""


def revisions(
    files: Iterable[Read],
    known: Known,
    *,
    before: Mapping[str, Any],
    arrived_at: int,
    most_lost_share: float,
) -> Revisions:
    """Of files, read in the order given. `before`: metrics of the ledger so far, or nothing.

    `arrived_at`: Unix seconds. Raises `DataError` where a file that nobody vouched for has lost
    more than `most_lost_share` of the events that it said before: it may be half copied.
    """
    sequence, batch, current = (before.get(n, 0) for n in ("sequence", "batch", "current"))
    rows_read = repeated = 0
    added = pl.DataFrame(schema=schema.EVENTS)

    def so_far(keys: pl.DataFrame) -> pl.DataFrame:
        if added.is_empty():
            return known(keys)
        fresh = added.join(keys, on=keys.columns, how="semi")
        return pl.concat([known(keys), fresh])

    for file in files:
        said = _last_of_each(with_event_ids(file.rows))
        rows_read += file.rows.height
        repeated += file.rows.height - said.height
        latest = _latest(so_far(said.select("event_id")))
        owned = _owned(file, so_far)
        lost = owned  # a join would hash all that the file says, whatever it owned
        if owned.height:
            lost = owned.join(said, on="event_id", how="anti").sort("sequence")
        if lost.height > most_lost_share * owned.height and not file.vouched_for:
            raise _too_much_lost(file, lost.height, owned.height, most_lost_share)
        new = _revised(said, latest, lost)
        batch += 1 if new.height else 0
        new = new.with_columns(
            sequence=pl.int_range(sequence + 1, sequence + new.height + 1, dtype=pl.Int64),
            batch=pl.lit(batch, pl.Int64),
            file=pl.lit(file.name),
            arrived_at=pl.lit(arrived_at, pl.Int64),
        ).select(schema.EVENTS.names())
        added = pl.concat([added, new]) if added.height else new  # constants stay single values
        sequence += new.height
        current += _count(new, ADD) - _count(new, DELETE)
    return Revisions(
        added,
        {
            "sequence": sequence,
            "batch": batch,
            "current": current,
            "rows_read": rows_read,
            "repeated": repeated,
        },
    )


def read_all(source: DataSource) -> pl.DataFrame:
    """The events of a source that is read for the first time, without a warehouse.

    Columns of `schema.EVENTS`, one row per event.
    """
    files = (
        Read(
            name,
            source.interactions(name),
            supersedes=False,
            whole=source.whole,
            vouched_for=source.vouched_for(name),
        )
        for name in source.files()
    )
    empty = pl.DataFrame(schema=schema.EVENTS)
    found = revisions(files, lambda _: empty, before={}, arrived_at=0, most_lost_share=0.0)
    return current_events(found.rows)


def current_events(ledger: pl.DataFrame) -> pl.DataFrame:
    """The last revision of each event that is not deleted; of rows that hold all of its revisions
    or at least the last.
    """
    return _latest(ledger).filter(pl.col("operation") != DELETE)


def _latest(ledger: pl.DataFrame) -> pl.DataFrame:
    """The last revision of each event, by sequence."""
    if ledger.select((pl.col("revision") == 1).all()).item():  # each is the only one of its event
        return ledger
    if not ledger["sequence"].is_sorted():  # the warehouse gives it sorted
        ledger = ledger.sort("sequence")
    return _last_of_each(ledger)


def _last_of_each(rows: pl.DataFrame) -> pl.DataFrame:
    """The last row of each event."""
    hashes = rows["event_id"].hash()  # sorting them is the fastest way to see which come twice
    rising = hashes.sort()
    twice = hashes.is_in(rising.filter(rising == rising.shift()).implode())
    if not twice.any():
        return rows
    last = rows["event_id"].filter(twice).is_last_distinct()
    replaced = twice.arg_true().filter(~last)
    return rows.filter(~pl.int_range(pl.len()).is_in(replaced.implode()))


def _owned(file: Read, known: Known) -> pl.DataFrame:
    """Current events of which the file spoke last; all, if it says everything."""
    if not file.supersedes:
        return pl.DataFrame(schema=schema.EVENTS)
    if file.whole:
        return current_events(known(pl.DataFrame({"operation": [ADD, CORRECT, DELETE]})))
    spoken = known(pl.DataFrame({"file": [file.name]})).select("event_id").unique()
    return current_events(known(spoken)).filter(file=file.name)


def _revised(said: pl.DataFrame, latest: pl.DataFrame, lost: pl.DataFrame) -> pl.DataFrame:
    """What changes: rows of the ledger without their place in it."""
    columns = ["row", "event_id", "revision", "operation", *schema.EVENT]
    if latest.is_empty() and lost.is_empty():  # nothing to compare with, and nothing to copy
        new = said.filter(~pl.col("deleted")) if said["deleted"].any() else said
        added = new.with_columns(operation=pl.lit(ADD), revision=pl.lit(1, pl.Int64))
        return added.select(columns)
    stored = latest.select(
        "event_id",
        "revision",
        stored="operation",
        stored_rating="rating",
        stored_opinions="opinions",
    )
    asked = said.join(stored, on="event_id", how="left", maintain_order="left")
    there = (pl.col("stored") != DELETE).fill_null(False)
    other = pl.col("rating") != pl.col("stored_rating")
    other |= pl.col("opinions").ne_missing(pl.col("stored_opinions"))
    operation = (
        pl.when(pl.col("deleted") & there)
        .then(pl.lit(DELETE))
        .when(~pl.col("deleted") & ~there)
        .then(pl.lit(ADD))
        .when(~pl.col("deleted") & other)
        .then(pl.lit(CORRECT))
    )
    come = asked.with_columns(operation=operation).filter(pl.col("operation").is_not_null())
    gone = lost.with_columns(operation=pl.lit(DELETE), row=pl.lit(None, pl.Int64))
    return pl.concat([come.select(columns), gone.select(columns)]).with_columns(
        revision=pl.col("revision").fill_null(0) + 1
    )


def _count(rows: pl.DataFrame, operation: str) -> int:
    # By an expression: a column that is one value for all rows stays one.
    return int(rows.select((pl.col("operation") == operation).sum()).item())


def _too_much_lost(file: Read, lost: int, owned: int, share: float) -> DataError:
    return DataError(
        f"{file.name}: its {file.rows.height} rows lack {lost} of the {owned} known ones, more "
        f"than data.most_lost_share = {share} allows; what was stored stays. Copy the file again "
        f"in full; if it is meant, put an empty {file.name}.done beside it"
    )


def by_batch(ledger: pl.DataFrame) -> pl.DataFrame:
    """`schema.BATCHES` of rows of the ledger."""
    operation = pl.col("operation")
    return (
        ledger.group_by("batch", "file", "arrived_at")
        .agg(
            last_sequence=pl.col("sequence").max(),
            added=(operation == ADD).sum(),
            corrected=(operation == CORRECT).sum(),
            deleted=(operation == DELETE).sum(),
        )
        .sort("batch")
        .cast(schema.BATCHES)
    )
