"""From tables to the shards of events that are walked."""

from collections.abc import Mapping

import polars as pl

from curec_assets.explanation.facts import Catalogue, Facts
from curec_assets.explanation.notes import note_facts, outcome_attributes
from curec_assets.reasons.walk import WalkEvent
from curec_assets.settings import ExplanationSettings


def walk_shards(
    events: pl.DataFrame,
    histories: pl.DataFrame,
    facts: Mapping[str, Facts],
    catalogue: Catalogue,
    settings: ExplanationSettings,
) -> list[list[WalkEvent]]:
    """One list of events per shard.

    `events`: see `selection.select_walk`, with level and probability of the evidence model and
    `usual`, everybody's like rate before the event.
    """
    joined = events.join(
        histories.select("event_id", "item_ids", "likes"),
        on="event_id",
        how="left",
        maintain_order="left",
    )
    shards: list[list[WalkEvent]] = [[] for _ in range(events["shard"].n_unique())]
    for row in joined.iter_rows(named=True):
        item_ids, likes = tuple(row["item_ids"] or ()), tuple(row["likes"] or ())
        shards[row["shard"]].append(
            WalkEvent(
                event_id=row["event_id"],
                user_id=row["user_id"],
                item_id=row["item_id"],
                timestamp=row["timestamp"],
                split=row["split"],
                liked=row["liked"],
                round=row["round"],
                level=row["level"],
                probability=row["probability"],
                history_item_ids=item_ids,
                history_likes=likes,
                facts=facts[row["event_id"]],
                note_facts=note_facts(item_ids, likes, catalogue, settings, usual=row["usual"]),
                attributes=outcome_attributes(row["item_id"], catalogue, settings),
            )
        )
    return shards
