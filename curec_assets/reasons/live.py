"""Live reasons: of events that came after the training snapshot, as if before their outcome.

The newest have one. Evidence, facts and notes are of strictly earlier events, as in the walk; notes
are not corrected, which is for the next snapshot's walk.
"""

import polars as pl

from curec_assets.datasets.schema import OBSERVED
from curec_assets.explanation.composer import compose_note
from curec_assets.explanation.facts import Catalogue
from curec_assets.explanation.notes import note_facts, usual_like_rate
from curec_assets.settings import ExplanationSettings


def new_events(interactions: pl.DataFrame, snapshot: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most the `most` newest rows of `interactions` that `snapshot` lacks, the oldest first.

    Of those that somebody did, not of what is drawn.
    """
    new = interactions.filter(OBSERVED).join(snapshot.select("event_id"), on="event_id", how="anti")
    return new.sort("timestamp", "event_id").tail(most)


def notes_before(
    events: pl.DataFrame,
    interactions: pl.DataFrame,
    histories: pl.DataFrame,
    reasons: pl.DataFrame,
    catalogue: Catalogue,
    settings: ExplanationSettings,
) -> list[str]:
    """For each of `events` its user's note, from what was known strictly before it.

    That of the user's latest stored reason before the event (`reasons`: user_id, timestamp, note),
    else composed from the event's history (`histories`: event_id, item_ids, likes).
    """
    stored = (
        events.select("event_id", "user_id", "timestamp")
        .sort("timestamp")
        .join_asof(
            reasons.select("user_id", "timestamp", "note").sort("timestamp"),
            on="timestamp",
            by="user_id",
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,  # cannot be checked within groups; both are sorted here
        )
    )
    usual = usual_like_rate(interactions)
    rows = (
        events.select("event_id")
        .join(stored.select("event_id", "note"), on="event_id", maintain_order="left")
        .join(
            histories.select("event_id", "item_ids", "likes"),
            on="event_id",
            how="left",
            maintain_order="left",
        )
    )
    return [
        note
        or compose_note(
            note_facts(items or (), likes or (), catalogue, settings, usual=usual[event_id])
        )
        for event_id, note, items, likes in rows.iter_rows()
    ]
