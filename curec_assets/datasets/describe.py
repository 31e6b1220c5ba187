"""What is worth looking at in each table: numbers, texts and small tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.display.charts import bar_chart
from resources.storage.warehouse import StoredTable

Description = dict[str, Any]
"""Name → number, text, or a frame that is shown as a table."""

_PEOPLE = ("director", "actor")
_DAY = 86_400
_EXAMPLES = 5
_BATCHES = 20
_PERIODS = 40


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
        "count(opinions) AS reviewed, coalesce(avg(liked::INT), 0) AS like_rate, "
        "min(timestamp) AS first, max(timestamp) AS last"
    )
    one = found.row(0, named=True)
    ratings = events.aggregate("rating, liked, count(*) AS events", "rating, liked")
    ratings = ratings.sort("rating")
    per = {
        f"{name}s": events.aggregate("count(rating) AS events", f"{name}_id")
        for name in ("user", "item")
    }
    users, items = (counts.height for counts in per.values())
    return {
        "users": users,
        "items": items,
        "density": one["events"] / max(users * items, 1),
        "like_rate": one["like_rate"],
        "left_out_unknown_item": inputs.metrics["current"] - one["events"],
        **({"drawn_events": one["drawn"]} if one["drawn"] else {}),
        **({"events_with_opinions": one["reviewed"]} if one["reviewed"] else {}),
        "unknown_items": ", ".join(inputs.metrics["unknown_items"]),
        "ratings": ratings,
        **_pictures(events, ratings, per, one["first"], one["last"]),
        **_time_range(found.select("first", "last").unpivot(value_name="timestamp")),
    }


def _pictures(
    events: StoredTable,
    ratings: pl.DataFrame,
    per: Mapping[str, pl.DataFrame],
    first: int | None,
    last: int | None,
) -> Description:
    """Events over time, by rating, and how many users and items have how many."""
    if first is None or last is None:
        return {}
    width = max(1, -(-(last + 1 - first) // _PERIODS))
    by_time = events.aggregate(
        f"{first} + (timestamp - {first}) // {width} * {width} AS begin, count(rating) AS events",
        "begin",
    ).sort("begin")
    days = by_time.select(day=pl.from_epoch("begin").dt.strftime("%Y-%m-%d %H:%M"))["day"]
    days = days.str.head(10) if width >= _DAY else days
    known = ratings.drop_nulls("rating").group_by("rating").agg(pl.col("events").sum())
    pictures = {
        "events_over_time": bar_chart(
            {"events": dict(zip(days, by_time["events"], strict=True))},
            title="Events over time",
            x_label="from",
            y_label="events",
        ),
        "events_per_user_and_item": bar_chart(
            {name: _by_doubling(counts) for name, counts in per.items()},
            title="How many users and items have how many events",
            x_label="events",
            y_label="users, items",
        ),
    }
    if known.height > 1:
        shares = {f"{rating:g}": count for rating, count in known.sort("rating").rows()}
        pictures["ratings_picture"] = bar_chart(
            {"events": shares}, title="Events by rating", x_label="rating", y_label="events"
        )
    return pictures


def _by_doubling(counts: pl.DataFrame) -> dict[str, int]:
    """How many of the counts are 1, 2-3, 4-7, 8-15, ..."""
    powers = counts.filter(pl.col("events") > 0).select(
        power=pl.col("events").log(2).floor().cast(pl.Int64)
    )
    found = dict(powers.group_by("power").len().rows())
    return {
        "1" if power == 0 else f"{2**power}-{2 ** (power + 1) - 1}": found.get(power, 0)
        for power in range(max(found, default=-1) + 1)
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
