"""Who is shown something, and what the evidence and a note say of it now.

An item is shown because the ranker put it first; its reason says how likely a like is all the same,
as the evidence has it, whatever that level is.
"""

from collections.abc import Iterable

import polars as pl

from curec_assets.datasets.histories import histories_at
from curec_assets.evidence.judge import judge_candidates
from curec_assets.evidence.model import EvidenceModel
from curec_assets.evidence.numbers import EvidenceNumbers
from curec_assets.explanation.composer import compose_note
from curec_assets.explanation.facts import Catalogue
from curec_assets.explanation.notes import note_facts, usual_now
from curec_assets.settings import EvidenceSettings, Profile


def users_to_serve(interactions: pl.DataFrame, count: int) -> list[str]:
    """The users who were active last: those who would be shown something now."""
    latest = interactions.group_by("user_id").agg(pl.col("timestamp").max())
    ordered = latest.sort(["timestamp", "user_id"], descending=[True, False])
    return ordered.head(count)["user_id"].to_list()


def judged_now(
    shown: pl.DataFrame,
    interactions: pl.DataFrame,
    numbers: EvidenceNumbers,
    model: EvidenceModel,
    settings: EvidenceSettings,
) -> pl.DataFrame:
    """What the evidence says of each row of `shown` (user_id, item_id) now: `timestamp` and
    `evidence.schema.EVIDENCE`. `numbers`: over `interactions`.
    """
    rows = shown.select("user_id", "item_id").with_columns(
        timestamp=pl.lit(moment(interactions), dtype=pl.Int64)
    )
    judged = judge_candidates(rows, numbers, model, settings)
    return pl.concat([rows.select("timestamp"), judged], how="horizontal")


def notes_now(
    users: Iterable[str],
    interactions: pl.DataFrame,
    reasons: pl.DataFrame,
    catalogue: Catalogue,
    profile: Profile,
) -> dict[str, str]:
    """user_id → the note of the user's latest stored reason, else what their history says now.

    `reasons`: user_id, timestamp, event_id, note.
    """
    wanted = list(users)
    stored = dict(reasons.sort("timestamp", "event_id").select("user_id", "note").iter_rows())
    rest = [user for user in wanted if user not in stored]
    histories = histories_at(interactions, rest, moment(interactions), profile.data.max_history)
    usual = usual_now(interactions)
    fresh = {
        user: compose_note(note_facts(item_ids, likes, catalogue, profile.explanation, usual=usual))
        for user, item_ids, likes in histories.select("user_id", "item_ids", "likes").iter_rows()
    }
    return fresh | {user: stored[user] for user in wanted if user in stored}


def moment(interactions: pl.DataFrame) -> int:
    """When what is shown is judged: one second after the latest interaction."""
    latest = interactions["timestamp"].max()
    return int(latest) + 1 if isinstance(latest, int) else 0
