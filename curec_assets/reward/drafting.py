"""Draft reasons by the aligned model, for the reward model to be fitted and judged on."""

from collections.abc import Mapping

import polars as pl

from curec_assets.explanation.facts import Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.selection import draw, with_evidence
from curec_assets.explanation.thinking import matched_cuts
from curec_assets.explanation.writing import ReasonRequest, matched_levels, write_reasons
from curec_assets.settings import Profile
from resources.generation.protocol import TextGenerator

SCHEMA = pl.Schema(
    {
        "event_id": pl.String(),
        "user_id": pl.String(),
        "item_id": pl.String(),
        "split": pl.String(),
        "liked": pl.Boolean(),
        "reason": pl.String(),
        "verdict": pl.String(),
        "why": pl.String(),
        "level": pl.Int64(),
        "evidence_level": pl.Int64(),
        "expected_level": pl.Float64(),
        "cited": pl.List(pl.String),
        "grounded": pl.Boolean(),
        "facts_left_out": pl.Int64(),
        "policy_fingerprint": pl.String(),
    }
)


def events_to_draft(
    event_splits: pl.DataFrame, event_evidence: pl.DataFrame, profile: Profile
) -> pl.DataFrame:
    """Reward-fold training events, and validation events for the gate; none that aligned the model.

    The model is aligned on events of the policy fold, the drafts are about the reward fold: it
    cannot remember the labels that its drafts are judged against.
    """
    wanted = {
        "train": (pl.col("fold") == "reward", profile.reward.draft_train),
        "validation": (pl.col("split") == "validation", profile.reward.draft_validation),
    }
    chosen: list[str] = []
    for split, (condition, count) in wanted.items():
        arguable = with_evidence(event_splits.filter(condition)["event_id"], event_evidence)
        chosen += draw(arguable, count, seed=profile.seed, purpose=f"drafts {split}")
    columns = ["event_id", "user_id", "item_id", "split", "liked"]
    events = event_splits.filter(pl.col("event_id").is_in(chosen)).select(columns)
    levels = event_evidence.select("event_id", evidence_level="level")
    return events.join(levels, on="event_id", how="left").sort("event_id")


def draft_cuts(drafts: pl.DataFrame) -> tuple[float, ...]:
    """The cuts of the drafts' expected levels (`thinking.matched_cuts`), of training events only.

    The reader is fitted on drafts, so all that it reads later is cut alike.
    """
    training = drafts.filter(pl.col("split") == "train").drop_nulls("evidence_level")
    return matched_cuts(training["expected_level"].to_list(), training["evidence_level"].to_list())


def draft(
    generator: TextGenerator,
    events: pl.DataFrame,
    facts: Mapping[str, Facts],
    checker: GroundingChecker,
    profile: Profile,
    policy_fingerprint: str,
) -> pl.DataFrame:
    """One greedy reason per event, kept as it is: the reward model must know what it will meet."""
    requests = [
        ReasonRequest(event_id, facts[event_id], level)
        for event_id, level in events.select("event_id", "evidence_level").iter_rows()
    ]
    training = (events["split"] == "train").to_list()
    cuts = matched_levels(
        generator,
        [request for request, trains in zip(requests, training, strict=True) if trains],
        profile.language_model,
        seed=profile.seed,
    )
    written = write_reasons(
        generator,
        requests,
        checker,
        profile.language_model,
        seed=profile.seed,
        max_regenerations=0,
        compose_last=False,
        level_cuts=cuts,
        free=profile.explanation.wording == "free",
    )
    return events.with_columns(
        pl.Series("reason", [w.reason for w in written], dtype=pl.String),
        pl.Series("verdict", [w.verdict for w in written], dtype=pl.String),
        pl.Series("why", [w.why for w in written], dtype=pl.String),
        pl.Series("level", [w.level for w in written], dtype=pl.Int64),
        pl.Series("expected_level", [w.expected_level for w in written], dtype=pl.Float64),
        pl.Series("cited", [list(w.cited) for w in written], dtype=pl.List(pl.String)),
        pl.Series("grounded", [w.grounded for w in written], dtype=pl.Boolean),
        pl.Series("facts_left_out", [w.facts_left_out for w in written], dtype=pl.Int64),
        pl.lit(policy_fingerprint).alias("policy_fingerprint"),
    ).select(SCHEMA.names())
