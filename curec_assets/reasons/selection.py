"""Which events get a reason: runs of a user's consecutive events, drawn by a seeded hash."""

from collections.abc import Iterable, Mapping

import polars as pl

from curec_assets.explanation.selection import PolicyFold, draw, with_evidence
from curec_assets.reasons.schedule import shards_of
from curec_assets.settings import Profile


def select_walk(
    event_splits: pl.DataFrame, event_evidence: pl.DataFrame, fold: PolicyFold, profile: Profile
) -> pl.DataFrame:
    """event_id, user_id, item_id, timestamp, split, liked, round, shard; sorted by shard and user.

    Training events come from the policy fold, without those that aligned the model or drove
    reinforcement learning: a model may remember the labels that it was fitted on, and the reward
    model, which decides corrections, was fitted on the other fold. No event is without a forward
    probability. `round`: which of the user's distinct times it is, from 0. `shard`: what is walked
    at once; a user's rounds are in rising shards, so a correction in one comes strictly before the
    next.
    """
    arguable = set(with_evidence(event_splits["event_id"], event_evidence))
    eligible = {
        "train": arguable & set(fold.rest),
        "validation": arguable,
        "test": arguable,
    }
    chosen = pl.concat(
        _drawn(
            event_splits.filter(
                (pl.col("split") == split) & pl.col("event_id").is_in(list(eligible[split]))
            ),
            count,
            split,
            profile,
        )
        for split, count in _counts(profile).items()
    )
    events = chosen.with_columns(
        round=pl.col("timestamp").rank("dense").over("user_id").cast(pl.Int64) - 1
    )
    steps = events.group_by("user_id", "round").len().sort("user_id", "round")
    sizes: Mapping[str, list[int]] = dict(
        steps.group_by("user_id", maintain_order=True).agg("len").iter_rows()
    )
    shards = shards_of(sizes, profile.reasons.events_at_once)
    steps = steps.with_columns(
        shard=pl.Series([shards[u][r] for u, r, _ in steps.rows()], dtype=pl.Int64)
    )
    columns = ["event_id", "user_id", "item_id", "timestamp", "split", "liked", "round", "shard"]
    joined = events.join(steps, on=["user_id", "round"], how="left")
    return joined.select(columns).sort("shard", "user_id", "event_id")


def _counts(profile: Profile) -> dict[str, int]:
    chosen = profile.reasons
    return {
        "train": chosen.train_events,
        "validation": chosen.validation_events,
        "test": chosen.test_events,
    }


def _drawn(events: pl.DataFrame, count: int, split: str, profile: Profile) -> pl.DataFrame:
    """At most `count` of `events`, in whole runs but for the last: every event is as likely."""
    runs = (
        events.sort("user_id", "timestamp", "event_id")
        .with_columns(number=pl.int_range(pl.len()).over("user_id") // profile.reasons.run_length)
        .with_columns(run=pl.format("{} {}", "number", "user_id"))
    )
    names: Iterable[str] = runs["run"].unique().to_list()
    ranked = draw(names, runs.height, seed=profile.seed, purpose=f"walk {split}")
    order = pl.DataFrame({"run": ranked}, schema={"run": pl.String}).with_row_index("place")
    return (
        runs.join(order, on="run", how="left", maintain_order="left")
        .sort("place", maintain_order=True)
        .head(count)
        .drop("number", "run", "place")
    )
