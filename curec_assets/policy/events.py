"""From tables to the events that reinforcement learning is driven by."""

from collections.abc import Mapping, Sequence

import polars as pl

from curec_assets.explanation.facts import Facts
from curec_assets.policy.rewards import PolicyEvent


def policy_events(
    events: pl.DataFrame,
    event_evidence: pl.DataFrame,
    histories: pl.DataFrame,
    facts: Mapping[str, Facts],
) -> Sequence[PolicyEvent]:
    """One `PolicyEvent` per row of `events` (event_id, user_id, item_id, liked), in their order.

    `event_evidence`: event_id, level, probability; those of the events are known.
    """
    joined = events.join(
        event_evidence.select("event_id", "level", "probability"),
        on="event_id",
        how="left",
        maintain_order="left",
    ).join(
        histories.select("event_id", "item_ids", "likes"),
        on="event_id",
        how="left",
        maintain_order="left",
    )
    return [
        PolicyEvent(
            event_id=row["event_id"],
            user_id=row["user_id"],
            item_id=row["item_id"],
            history_item_ids=tuple(row["item_ids"] or ()),
            history_likes=tuple(row["likes"] or ()),
            liked=row["liked"],
            facts=facts[row["event_id"]],
            level=row["level"],
            probability=row["probability"],
        )
        for row in joined.iter_rows(named=True)
    ]
