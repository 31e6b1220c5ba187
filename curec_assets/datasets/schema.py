"""Columns and dtypes of this stage's tables, in one place."""

import polars as pl

ATTRIBUTE = pl.Struct({"kind": pl.Utf8(), "value": pl.Utf8()})

EVENT = pl.Schema(
    {
        "user_id": pl.Utf8(),
        "item_id": pl.Utf8(),
        "rating": pl.Float64(),
        "timestamp": pl.Int64(),  # Unix seconds
        "opinions": pl.Utf8(),  # `datasets.opinions`; null: none, or no text
    }
)
RAW_INTERACTIONS = pl.Schema(
    {
        "row": pl.Int64(),  # 1-based place in the file: the last of equal events counts
        **EVENT,  # no rating where the row takes an event back
        "deleted": pl.Boolean(),
    }
)
EVENTS = pl.Schema(
    {
        "sequence": pl.Int64(),  # 1, 2, ... as revisions came
        "batch": pl.Int64(),  # of one file at one time
        "file": pl.Utf8(),
        "row": pl.Int64(),  # null: deleted because the file no longer has it
        "arrived_at": pl.Int64(),  # Unix seconds; in no data version
        "event_id": pl.Utf8(),
        "revision": pl.Int64(),  # 1, 2, ... of the event
        "operation": pl.Utf8(),  # add, correct, delete
        **EVENT,
    }
)
BATCHES = pl.Schema(
    {
        "batch": pl.Int64(),
        "file": pl.Utf8(),
        "arrived_at": pl.Int64(),
        "last_sequence": pl.Int64(),
        "added": pl.Int64(),
        "corrected": pl.Int64(),
        "deleted": pl.Int64(),
    }
)
QUARANTINE = pl.Schema(
    {
        "file": pl.Utf8(),
        "row": pl.Int64(),  # 1-based data row
        "column": pl.Utf8(),
        "value": pl.Utf8(),  # as it stands; null: nothing
        "reason": pl.Utf8(),
        "fix": pl.Utf8(),
    }
)
RAW_ITEMS = pl.Schema(
    {
        "item_id": pl.Utf8(),
        "title": pl.Utf8(),
        "year": pl.Int64(),
        "attributes": pl.List(ATTRIBUTE),
        "description": pl.Utf8(),  # prose: embedded, never named in a reason
    }
)
ITEMS = pl.Schema(
    {
        "item_id": pl.Utf8(),
        "title": pl.Utf8(),
        "year": pl.Int64(),  # of release; null: unknown
        "attributes": pl.List(ATTRIBUTE),
        "text": pl.Utf8(),
    }
)
INTERACTIONS = pl.Schema(
    {
        "event_id": pl.Utf8(),
        "user_id": pl.Utf8(),
        "item_id": pl.Utf8(),
        "rating": pl.Float64(),  # null: nobody did this, it is drawn (`datasets.drawn`)
        "liked": pl.Boolean(),
        "timestamp": pl.Int64(),
        "opinions": pl.Utf8(),  # what a review praises and finds fault with; null: nothing
    }
)
OBSERVED = pl.col("rating").is_not_null()
"""Of rows of these tables: that somebody did it."""
SERVING_SNAPSHOT = pl.Schema({**INTERACTIONS, "split": pl.Utf8()})
EVENT_SPLITS = pl.Schema(
    # Opinions are evidence only, which is read of the snapshot itself.
    {**{n: d for n, d in SERVING_SNAPSHOT.items() if n != "opinions"}, "fold": pl.Utf8()}
)
HISTORY = pl.Schema(
    {
        "item_ids": pl.List(pl.Utf8()),
        "ratings": pl.List(pl.Float64()),
        "likes": pl.List(pl.Boolean()),
        "timestamps": pl.List(pl.Int64()),
        "length": pl.Int64(),
    }
)
HISTORIES = pl.Schema({"event_id": pl.Utf8(), "user_id": pl.Utf8(), **HISTORY})

SPLITS = ("train", "validation", "test")
FOLDS = ("reward", "policy")
