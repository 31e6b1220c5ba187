"""Running statistics: what was known of a user and an item just before a moment.

Every number comes from events with a *strictly* smaller timestamp than the query, so the same
function serves training events and candidates at serving time. Which statistics: our choice.
"""

from dataclasses import dataclass

import polars as pl

FEATURES = (
    "user_like_rate",
    "user_mean_rating",
    "user_recent_like_rate",
    "user_residual",
    "user_log_count",
    "user_log_idle_hours",
    "item_like_rate",
    "item_mean_rating",
    "item_residual",
    "item_log_count",
    "item_log_idle_hours",
    "affinity",
    "affinity_log_count",
)


@dataclass(frozen=True)
class Smoothing:
    """How far the statistics trust few events."""

    prior: float
    """Events of prior belief in every smoothed mean."""
    recent_half_life: float
    """Events after which a user's older likes count half."""


def running_statistics(
    log: pl.DataFrame, attributes: pl.DataFrame, queries: pl.DataFrame, smoothing: Smoothing
) -> pl.DataFrame:
    """The `FEATURES` of each query, in the queries' order, as Float32.

    `log`: all events known (`user_id, item_id, rating, liked, timestamp`); `attributes`: one row
    per item and attribute value (`item_id, attribute`), see `item_attributes`; `queries`:
    `user_id, item_id, timestamp`. A user or item that is new gets the prior: the running mean of
    everybody.
    """
    events = _with_expectations(
        log.select(
            "user_id",
            "item_id",
            "timestamp",
            pl.col("rating").cast(pl.Float64).fill_null(0.0),  # of what is drawn
            pl.col("liked").cast(pl.Float64),
        ).sort("timestamp", "user_id", "item_id", "rating"),
        smoothing,
    )
    wanted = queries.select("user_id", "item_id", "timestamp").with_row_index("query")
    joined = _state(events, wanted, smoothing).join(
        _affinity(events, attributes, wanted, smoothing),
        on="query",
        how="left",
        maintain_order="left",
    )
    return joined.select(_features(smoothing.prior)).select(pl.col(FEATURES).cast(pl.Float32))


def item_attributes(items: pl.DataFrame) -> pl.DataFrame:
    """`items.attributes` as one row per item and value: `item_id, attribute` ("kind=value")."""
    return (
        items.select("item_id", "attributes")
        .explode("attributes")
        .drop_nulls("attributes")
        .select(
            "item_id",
            attribute=pl.format(
                "{}={}",
                pl.col("attributes").struct.field("kind"),
                pl.col("attributes").struct.field("value"),
            ),
        )
        .unique(maintain_order=True)
    )


_KEYS = ("user_id", "item_id", "timestamp")


def _with_expectations(events: pl.DataFrame, smoothing: Smoothing) -> pl.DataFrame:
    """Adds to each event by how much its outcome beat what its item, and its user, promised.

    `beat_item` = liked - the item's like rate just before; `beat_user` likewise.
    """
    before = _state(events, events.select(_KEYS).with_row_index("query"), smoothing)
    rates = before.select(
        user=_smoothed("liked", "user", smoothing.prior),
        item=_smoothed("liked", "item", smoothing.prior),
    )
    return events.with_columns(
        beat_user=pl.col("liked") - rates["user"], beat_item=pl.col("liked") - rates["item"]
    )


def _state(events: pl.DataFrame, wanted: pl.DataFrame, smoothing: Smoothing) -> pl.DataFrame:
    """`wanted` with the totals of everybody, of its user and of its item just before."""
    groups: tuple[tuple[str, list[str]], ...] = (
        ("all", []),
        ("user", ["user_id"]),
        ("item", ["item_id"]),
    )
    parts = [
        _before(wanted, _totals(events, by, name, smoothing), by).select(
            pl.col(f"^{name}_.*$").exclude(_KEYS)
        )
        for name, by in groups
    ]
    return pl.concat([wanted, *parts], how="horizontal")


def _totals(events: pl.DataFrame, by: list[str], name: str, smoothing: Smoothing) -> pl.DataFrame:
    """Running totals after each timestamp, per group: `{name}_count, {name}_liked, ...`.

    `events` must be sorted by time.
    """
    sums = [c for c in ("rating", "liked", "beat_user", "beat_item") if c in events.columns]
    running = [
        pl.int_range(1, pl.len() + 1).cast(pl.Float64).alias("count"),
        *(pl.col(c).cum_sum() for c in sums),
        pl.col("liked").ewm_mean(half_life=smoothing.recent_half_life).alias("recent"),
    ]
    if by:
        running = [column.over(by) for column in running]
    return (
        events.select(*by, "timestamp", *running)
        .unique([*by, "timestamp"], keep="last", maintain_order=True)
        .rename({c: f"{name}_{c}" for c in ("count", "recent", *sums)})
        .with_columns(pl.col("timestamp").alias(f"{name}_last"))
    )


def _before(queries: pl.DataFrame, totals: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Each query with the totals of the latest strictly earlier timestamp (null if none)."""
    return (
        queries.sort("timestamp")
        .join_asof(
            totals,
            on="timestamp",
            by=by or None,
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .sort("query")
    )


def _smoothed(what: str, name: str, strength: float) -> pl.Expr:
    """Mean of `what` in group `name`, pulled to everybody's mean by `strength` events."""
    prior = (pl.col(f"all_{what}") / pl.col("all_count")).fill_null(0.5 if what == "liked" else 0.0)
    total = pl.col(f"{name}_{what}").fill_null(0.0)
    return (total + strength * prior) / (pl.col(f"{name}_count").fill_null(0.0) + strength)


def _affinity(
    events: pl.DataFrame, attributes: pl.DataFrame, wanted: pl.DataFrame, smoothing: Smoothing
) -> pl.DataFrame:
    """Per query: by how much the user's outcomes on the candidate's attributes beat the items'.

    Mean over the candidate's attributes of the smoothed `beat_item`, and the log of the evidence.
    """
    by = ["user_id", "attribute"]
    rated = events.join(attributes, on="item_id", how="inner", maintain_order="left")
    totals = _totals(rated, by, "attribute", smoothing)
    asked = wanted.join(attributes, on="item_id", how="inner")
    found = _before(asked, totals, by)
    return found.group_by("query").agg(
        affinity=(
            pl.col("attribute_beat_item").fill_null(0.0)
            / (pl.col("attribute_count").fill_null(0.0) + smoothing.prior)
        ).mean(),
        affinity_count=pl.col("attribute_count").fill_null(0.0).sum(),
    )


def _features(prior: float) -> list[pl.Expr]:
    def residual(what: str, name: str) -> pl.Expr:
        return (pl.col(f"{name}_{what}") / (pl.col(f"{name}_count") + prior)).fill_null(0.0)

    def log_count(name: str) -> pl.Expr:
        return pl.col(name).fill_null(0.0).log1p()

    def idle(name: str) -> pl.Expr:
        hours = (pl.col("timestamp") - pl.col(f"{name}_last")) / 3600
        return hours.log1p().fill_null(0.0).alias(f"{name}_log_idle_hours")

    like_rate = _smoothed("liked", "user", prior)
    return [
        like_rate.alias("user_like_rate"),
        _smoothed("rating", "user", prior).alias("user_mean_rating"),
        pl.col("user_recent")
        .fill_null(_smoothed("liked", "user", prior))
        .alias("user_recent_like_rate"),
        residual("beat_item", "user").alias("user_residual"),
        log_count("user_count").alias("user_log_count"),
        idle("user"),
        _smoothed("liked", "item", prior).alias("item_like_rate"),
        _smoothed("rating", "item", prior).alias("item_mean_rating"),
        residual("beat_user", "item").alias("item_residual"),
        log_count("item_count").alias("item_log_count"),
        idle("item"),
        pl.col("affinity").fill_null(0.0),
        log_count("affinity_count").alias("affinity_log_count"),
    ]
