"""What is worth looking at in each table: numbers, texts and small tables."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from resources.storage.warehouse import StoredTable

Description = dict[str, Any]
"""Name → number, text, or a frame that is shown as a table."""

_PEOPLE = ("director", "actor")
_DAY = 86_400
_EXAMPLES = 5
_BATCHES = 20


def events(ledger: StoredTable, inputs: Inputs) -> Description:
    """How many events there are, what was read last, and the latest batches."""
    found = ledger.aggregate(
        "batch, max(file) AS file, count(*) FILTER (operation = 'add') AS added, "
        "count(*) FILTER (operation = 'correct') AS corrected, "
        "count(*) FILTER (operation = 'delete') AS deleted, "
        "strftime(epoch_ms(max(arrived_at) * 1000), '%Y-%m-%d %H:%M:%S UTC') AS arrived",
        "batch",
    )
    metrics = inputs.metrics
    return {
        "current_events": metrics["current"],
        "revisions": metrics["sequence"],
        "rows_read": metrics["rows_read"],
        "repeated_rows": metrics["repeated"],
        "latest_batches": found.sort("batch", descending=True).head(_BATCHES),
    }


def batches(table: StoredTable, _: Inputs) -> Description:
    """What came in all."""
    sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in ("added", "corrected", "deleted"))
    return table.aggregate(f"count(DISTINCT file) AS files, {sums}").row(0, named=True)


def quarantine(table: StoredTable, _: Inputs) -> Description:
    """How many rows were left out, and why; values are in the table only, they may be personal."""
    return {
        "rows_left_out": table.aggregate("count(DISTINCT (file, row)) AS rows").item(),
        "reasons": table.aggregate('count(*) AS cells, "column", reason', '"column", reason').sort(
            "cells", descending=True
        ),
    }


def raw_items(rows: pl.DataFrame, source: str) -> Description:
    """How much the catalogue says; for MovieLens, people tell which films Wikidata has."""
    kinds = rows.select("item_id", "attributes").explode("attributes").unnest("attributes")
    described = kinds.filter(pl.col("kind").is_in(_PEOPLE))["item_id"].n_unique()
    coverage = (
        kinds.filter(pl.col("kind").is_not_null())
        .group_by("kind")
        .agg(
            (pl.col("item_id").n_unique() / max(rows.height, 1)).alias("share of items"),
            pl.col("value").n_unique().alias("different values"),
        )
        .sort("kind")
    )
    match: Description = {}
    if source == "movielens-100k":  # directors and actors come from Wikidata only
        match = {
            "wikidata_matches": described,
            "wikidata_match_rate": described / max(rows.height, 1),
        }
    return {
        **match,
        "without_title": rows["title"].null_count(),
        "attributes": coverage,
    }


def items(rows: pl.DataFrame) -> Description:
    """Texts, and how many items have none."""
    return {
        "without_text": rows.filter(pl.col("text") == "").height,
        "attributes_per_item": float(rows["attributes"].list.len().mean() or 0.0),  # type: ignore[arg-type]
        "sample": rows.select("item_id", "text").head(_EXAMPLES),
    }


def interactions(events: StoredTable, inputs: Inputs) -> Description:
    """Counts, density, like rate, time range, what was left out, and what was drawn."""
    found = events.aggregate(
        "count(rating) AS events, count(*) - count(rating) AS drawn, "
        "count(DISTINCT user_id) AS users, count(DISTINCT item_id) AS items, "
        "count(opinions) AS reviewed, coalesce(avg(liked::INT), 0) AS like_rate, "
        "min(timestamp) AS first, max(timestamp) AS last"
    )
    one = found.row(0, named=True)
    ratings = events.aggregate("rating, liked, count(*) AS events", "rating, liked")
    return {
        "users": one["users"],
        "items": one["items"],
        "density": one["events"] / max(one["users"] * one["items"], 1),
        "like_rate": one["like_rate"],
        "left_out_unknown_item": inputs.metrics["current"] - one["events"],
        **({"drawn_events": one["drawn"]} if one["drawn"] else {}),
        **({"events_with_opinions": one["reviewed"]} if one["reviewed"] else {}),
        "unknown_items": ", ".join(inputs.metrics["unknown_items"]),
        "ratings": ratings.sort("rating"),
        **_time_range(found.select("first", "last").unpivot(value_name="timestamp")),
    }


def training_snapshot(rows: pl.DataFrame) -> Description:
    """The cut-off."""
    return {"cut_off": int(rows["timestamp"].max() or 0), **_time_range(rows)}  # type: ignore[arg-type]


def splits(rows: pl.DataFrame, *, by: Sequence[str] = ("split",)) -> Description:
    """Sizes and dates of the splits, `by` folds too where there are any."""
    table = (
        rows.group_by(by)
        .agg(
            events=pl.len(),
            users=pl.col("user_id").n_unique(),
            liked=pl.col("liked").mean(),
            begins=_moment(pl.col("timestamp").min()),
            ends=_moment(pl.col("timestamp").max()),
        )
        .sort("begins", *by)
    )
    return {"splits": table}


def _time_range(events: pl.DataFrame) -> Description:
    time = pl.col("timestamp")
    return {
        "first_event": _moments(events, time.min()),
        "last_event": _moments(events, time.max()),
        "days": events.select((time.max() - time.min()) / _DAY).item(),
    }


def _moments(events: pl.DataFrame, time: pl.Expr) -> str:
    return str(events.select(_moment(time)).item())


def _moment(time: pl.Expr) -> pl.Expr:
    return pl.from_epoch(time, time_unit="s").dt.strftime("%Y-%m-%d %H:%M:%S UTC")
