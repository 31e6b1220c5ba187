"""What is worth looking at in each table: numbers, texts and small tables, from the rows alone."""

from collections.abc import Mapping
from typing import Any

import polars as pl

Description = dict[str, Any]
"""Name → number, text, or a frame that is shown as a table."""

_PEOPLE = ("director", "actor")
_DAY = 86_400
_EXAMPLES = 5


def raw_interactions(rows: pl.DataFrame) -> Description:
    """Size and range of what was read."""
    return {
        "users": rows["user_id"].n_unique(),
        "items": rows["item_id"].n_unique(),
        "sample": rows.head(_EXAMPLES),
    }


def quarantine(rows: pl.DataFrame) -> Description:
    """How many rows were left out, and why; values are in the table only, they may be personal."""
    reasons = rows.group_by("column", "reason").agg(cells=pl.len()).sort("cells", descending=True)
    return {"rows_left_out": rows["row"].n_unique(), "reasons": reasons}


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


def interactions(events: pl.DataFrame, left_out: Mapping[str, Any]) -> Description:
    """Counts, density, like rate, time range, and what was left out (`Outcome.left_out`)."""
    users, catalogue = events["user_id"].n_unique(), events["item_id"].n_unique()
    return {
        "users": users,
        "items": catalogue,
        "density": events.height / max(users * catalogue, 1),
        "like_rate": _like_rate(events),
        "left_out_repeated": left_out["repeated"],
        "left_out_unknown_item": left_out["unknown"],
        "unknown_items": ", ".join(left_out["unknown_items"]),
        "ratings": events.group_by("rating", "liked").agg(events=pl.len()).sort("rating"),
        **_time_range(events),
    }


def training_snapshot(rows: pl.DataFrame) -> Description:
    """The cut-off."""
    return {"cut_off": int(rows["timestamp"].max() or 0), **_time_range(rows)}  # type: ignore[arg-type]


def event_splits(rows: pl.DataFrame) -> Description:
    """Sizes and dates of the splits and folds."""
    table = (
        rows.group_by("split", "fold")
        .agg(
            events=pl.len(),
            users=pl.col("user_id").n_unique(),
            liked=pl.col("liked").mean(),
            begins=_moment(pl.col("timestamp").min()),
            ends=_moment(pl.col("timestamp").max()),
        )
        .sort("begins", "fold")
    )
    return {"splits": table}


def histories(rows: pl.DataFrame) -> Description:
    """How long histories are, and how many are empty."""
    lengths = rows["length"]
    quantiles = [0.0, 0.25, 0.5, 0.75, 1.0]
    return {
        "without_history": int((lengths == 0).sum()),
        "mean_shown": float(rows["item_ids"].list.len().mean() or 0.0),  # type: ignore[arg-type]
        "lengths": pl.DataFrame(
            {"quantile": quantiles, "events before": [lengths.quantile(q) for q in quantiles]}
        ),
    }


def _like_rate(events: pl.DataFrame) -> float:
    return int(events["liked"].sum()) / max(events.height, 1)


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
