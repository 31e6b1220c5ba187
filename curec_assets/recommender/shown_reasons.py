"""Reasons for what is shown: written only for the recommended items, as of now."""

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.core.seeds import derive
from curec_assets.datasets.histories import histories_at
from curec_assets.evidence.collaborative import evidence_for, train_likes
from curec_assets.explanation.facts import Catalogue
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.writing import ReasonRequest, write_reasons
from curec_assets.settings import Profile
from resources.generation.protocol import TextGenerator


def users_to_serve(interactions: pl.DataFrame, count: int) -> list[str]:
    """The users who were active last: those who would be shown something now."""
    latest = interactions.group_by("user_id").agg(pl.col("timestamp").max())
    ordered = latest.sort(["timestamp", "user_id"], descending=[True, False])
    return ordered.head(count)["user_id"].to_list()


def latest_notes(reasons: pl.DataFrame) -> dict[str, str]:
    """user_id → the note of the user's latest stored reason, where there is one."""
    ordered = reasons.sort("timestamp", "event_id")
    return dict(ordered.select("user_id", "note").iter_rows())


def requests_for(
    shown: pl.DataFrame,
    interactions: pl.DataFrame,
    event_splits: pl.DataFrame,
    catalogue: Catalogue,
    notes: dict[str, str],
    profile: Profile,
) -> list[ReasonRequest]:
    """One request per row of `shown` (user_id, item_id), with evidence as of now."""
    users = shown["user_id"].to_list()
    latest = interactions["timestamp"].max()
    now = int(latest) + 1 if isinstance(latest, int) else 0
    histories = histories_at(interactions, users, now, profile.data.max_history)
    targets = pl.concat(
        [shown.select("user_id", "item_id"), histories.drop("user_id")], how="horizontal"
    ).with_columns(timestamp=pl.lit(now, dtype=pl.Int64))
    evidence = evidence_for(targets, train_likes(event_splits), profile.evidence)
    asked = targets.select("user_id", "item_id", "item_ids", "likes")
    found = pl.concat([asked, evidence], how="horizontal")
    return [
        ReasonRequest(
            key=digest([row["user_id"], row["item_id"], now]),
            facts=catalogue.facts(
                row["item_id"],
                row["liked_ids"],
                row["disliked_ids"],
                tuple(zip(row["item_ids"], row["likes"], strict=True)),
                profile.evidence,
            ).with_note(notes.get(row["user_id"], "")),
            # The recommender has decided to show it: the reason says what speaks for it.
            only_like=True,
        )
        for row in found.iter_rows(named=True)
    ]


def with_reasons(
    shown: pl.DataFrame,
    requests: list[ReasonRequest],
    generator: TextGenerator,
    catalogue: Catalogue,
    profile: Profile,
    policy_fingerprint: str,
) -> pl.DataFrame:
    """`shown` with title, reason, verdict, grounded, source and the policy's fingerprint."""
    written = write_reasons(
        generator,
        requests,
        GroundingChecker(catalogue, profile.explanation.max_words),
        profile.language_model,
        seed=derive(profile.seed, "recommendations"),
        max_regenerations=profile.reasons.max_regenerations,
        compose_last=True,
    )
    return shown.with_columns(
        pl.Series("title", [request.facts.title for request in requests], dtype=pl.String),
        pl.Series("reason", [w.reason for w in written], dtype=pl.String),
        pl.Series("verdict", [w.verdict for w in written], dtype=pl.String),
        pl.Series("verdict_probability", [w.verdict_probability for w in written], pl.Float64),
        pl.Series("grounded", [w.grounded for w in written], dtype=pl.Boolean),
        pl.Series("source", [w.source for w in written], dtype=pl.String),
        pl.lit(policy_fingerprint).alias("policy_fingerprint"),
    )
