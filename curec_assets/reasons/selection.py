"""Which events get a reason: a few users of each split, some events of each, in time order."""

import polars as pl

from curec_assets.explanation.selection import PolicyFold, draw, with_evidence
from curec_assets.settings import Profile

_SPLITS = ("test", "validation", "train")
_SHARES = {"test": 0.5, "validation": 0.25, "train": 0.25}


def select_walk(
    event_splits: pl.DataFrame, evidence: pl.DataFrame, fold: PolicyFold, profile: Profile
) -> pl.DataFrame:
    """event_id, user_id, item_id, timestamp, split, liked, round (0, 1, ...).

    Training events come from the policy fold, without those that aligned the model or drove
    reinforcement learning: a model may remember the labels that it was fitted on, and the reward
    model, which decides corrections, was fitted on the other fold. A user has at most one event per
    timestamp and per round, so that a correction in one round comes strictly before the next.
    """
    arguable = set(with_evidence(event_splits["event_id"], evidence))
    eligible = {
        "train": arguable & set(fold.rest),
        "validation": arguable,
        "test": arguable,
    }
    taken: set[str] = set()
    parts = []
    for split in _SPLITS:
        events = event_splits.filter(
            (pl.col("split") == split)
            & pl.col("event_id").is_in(list(eligible[split]))
            & ~pl.col("user_id").is_in(list(taken))
        )
        one_per_time = events.sort("timestamp", "event_id").unique(
            ["user_id", "timestamp"], keep="first", maintain_order=True
        )
        users = _draw_users(one_per_time, split, profile)
        taken.update(users)
        rounds = (
            one_per_time.filter(pl.col("user_id").is_in(users))
            .sort("user_id", "timestamp")
            .with_columns(
                round=pl.int_range(pl.len()).over("user_id")
                - pl.len().over("user_id")
                + profile.reasons.rounds
            )
            .filter(pl.col("round") >= 0)
            .with_columns(round=pl.col("round") - pl.col("round").min().over("user_id"))
        )
        parts.append(rounds)
    columns = ["event_id", "user_id", "item_id", "timestamp", "split", "liked", "round"]
    return pl.concat(parts).select(columns).sort("round", "user_id")


def _draw_users(events: pl.DataFrame, split: str, profile: Profile) -> list[str]:
    """Users with enough events in the split if there are such, else any of it."""
    counts = events.group_by("user_id").len().sort("user_id")
    rich = counts.filter(pl.col("len") >= profile.reasons.rounds)["user_id"].to_list()
    poor = counts.filter(pl.col("len") < profile.reasons.rounds)["user_id"].to_list()
    count = max(1, round(profile.reasons.users * _SHARES[split]))
    chosen = draw(rich, count, seed=profile.seed, purpose=f"walk {split}")
    missing = count - len(chosen)
    return [*chosen, *draw(poor, missing, seed=profile.seed, purpose=f"walk {split}")]
