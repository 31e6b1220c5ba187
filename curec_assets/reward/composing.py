"""Composed reasons, for the readers to be fitted on beside the drafts.

A draft costs the language model's time; the composer's sentence, at the evidence model's level and
from the event's own facts, costs nothing. So the readers learn from many of these what verdicts and
arguments are worth, and from the drafts what the language model makes of them. Ours. The gate is
decided on drafts alone.
"""

from collections.abc import Mapping

import polars as pl

from curec_assets.core.seeds import random_generator
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Facts
from curec_assets.explanation.selection import draw, with_evidence
from curec_assets.settings import Profile

SCHEMA = pl.Schema({"event_id": pl.String, "verdict": pl.String, "why": pl.String})


def events_to_compose(
    event_splits: pl.DataFrame, event_evidence: pl.DataFrame, drafts: pl.DataFrame, profile: Profile
) -> pl.DataFrame:
    """Arguable reward-fold events without a draft: event_id, item_id."""
    fold = event_splits.filter(pl.col("fold") == "reward").join(drafts, on="event_id", how="anti")
    arguable = with_evidence(fold["event_id"], event_evidence)
    chosen = draw(arguable, profile.reward.composed_train, seed=profile.seed, purpose="composed")
    return (
        fold.filter(pl.col("event_id").is_in(chosen)).select("event_id", "item_id").sort("event_id")
    )


def composed_reasons(
    events: pl.DataFrame, event_evidence: pl.DataFrame, facts: Mapping[str, Facts], seed: int
) -> pl.DataFrame:
    """One reason (`SCHEMA`) per event, at the evidence model's level.

    `event_evidence`: event_id, level. `facts`: by event. The sentence depends on the seed and the
    event, not on which others are composed.
    """
    levels = events.select("event_id").join(
        event_evidence.select("event_id", "level"), on="event_id", maintain_order="left"
    )
    rows = []
    for event_id, level in levels.rows():
        composed = compose(facts[event_id], level, random_generator(seed, "composed", event_id))
        rows.append((event_id, composed.verdict, composed.why))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
