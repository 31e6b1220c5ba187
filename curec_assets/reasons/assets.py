"""Assets of the group `reasons`: the walk's shards, and the reasons as a table."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import WAITING, Choice, artifact, table
from curec_assets.datasets.histories import histories_of
from curec_assets.display.charts import line_chart
from curec_assets.display.tables import markdown_table
from curec_assets.evidence.schema import EVIDENCE
from curec_assets.explanation.facts import Catalogue, Facts, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.notes import usual_like_rate
from curec_assets.explanation.selection import divide_policy_fold
from curec_assets.explanation.writer import writer_of
from curec_assets.reasons.lasting import waiting
from curec_assets.reasons.selection import select_walk
from resources.errors import ArtifactError
from resources.storage.model_store import Artifact

_OF_THE_WALK = (
    "train_events",
    "validation_events",
    "test_events",
    "run_length",
    "events_at_once",
    "max_level_gap",
    "max_regenerations",
    "correction",
)


@dataclass(frozen=True)
class _Walked:
    """The events that are walked, and all that prompts, checks and reward are made from."""

    events: pl.DataFrame
    """As of `select_walk`, with level and probability of the evidence model and `usual`."""
    histories: pl.DataFrame
    facts: Mapping[str, Facts]
    items: pl.DataFrame


def _events_to_walk(inputs: Inputs) -> _Walked:
    profile = inputs.settings
    splits, evidence = inputs.table("event_splits"), inputs.table("event_evidence")
    fold = divide_policy_fold(splits, evidence, profile)
    usual = pl.DataFrame(
        list(usual_like_rate(splits).items()),
        schema={"event_id": pl.String, "usual": pl.Float64},
        orient="row",
    )
    events = (
        select_walk(splits, evidence, fold, profile)
        .join(
            evidence.select("event_id", "level", "probability"),
            on="event_id",
            maintain_order="left",
        )
        .join(usual, on="event_id", maintain_order="left")
    )
    histories = histories_of(events, splits, profile.data.max_history)
    items = inputs.table("items", ["item_id", "title", "attributes"])
    facts = facts_by_event(events, evidence, Catalogue(items), profile.explanation)
    return _Walked(events, histories, facts, items)


def _policy_knows_the_reward_model(inputs: Inputs) -> None:
    _require_same(inputs, "reason_policy", "reward_model")


def _shards_are_of_the_policy(inputs: Inputs) -> None:
    _require_same(inputs, "generated_reasons", "reason_policy")


def _require_same(inputs: Inputs, consumer: str, name: str) -> None:
    """Refuse to mix generations: `consumer` must have been made with the current `name`."""
    made, current = inputs.artifact(consumer), inputs.artifact(name)
    used = made.manifest.inputs[name]
    if used != current.manifest.data_version:
        raise ArtifactError(
            f"{consumer!r} ({made.manifest.fingerprint}) was made with {name!r} of data version "
            f"{used}, but the current {name!r} ({current.manifest.fingerprint}) has "
            f"{current.manifest.data_version}; materialise {consumer!r} again"
        )


def _read_shards(stored: Artifact) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(stored.path.glob("*.parquet"))])


def _describe(rows: pl.DataFrame) -> Mapping[str, Any]:
    by_split = rows.group_by("split").agg(
        reasons=pl.len(),
        grounded=pl.col("grounded").mean().round(3),
        grounded_at_once=pl.col("first_grounded").mean().round(3),
        composer=(pl.col("source") == "composer").mean().round(3),
        level=pl.col("level").mean().round(2),
        evidence_level=pl.col("evidence_level").mean().round(2),
        reward=pl.col("reward").mean().round(4),
    )
    samples = rows.select(
        "split", "round", "level", "evidence_level", "source", "reward", "note", "reason"
    )
    return {
        "by_split": by_split.sort("split"),
        "samples": markdown_table(samples, limit=12),
        "grounded": float(rows["grounded"].mean() or 0.0),  # type: ignore[arg-type]
        "composer_share": float((rows["source"] == "composer").sum()) / max(rows.height, 1),
        "prompts_shortened": int((rows["facts_left_out"] > 0).sum()),
    }


def _describe_walk(stored: Artifact, inputs: Inputs) -> Mapping[str, Any]:
    """Also how the reasons fared by round, which needs the outcomes."""
    from curec_assets.reasons.by_round import SERIES

    measured = inputs.metrics["by_round"]
    series = {
        name: [row[name] for row in measured]
        for name in SERIES
        if all(row[name] is not None for row in measured)
    }
    return {
        **_describe(_read_shards(stored)),
        "by_round": pl.DataFrame(measured),
        "rounds_chart": line_chart(
            series,
            title="Reasons by how many rounds their user has behind",
            x_label="rounds " + ", ".join(row["rounds"] for row in measured),
            y_label="share, AUC or ECE",
        ),
    }


@artifact(
    group="reasons",
    kinds={"huggingface", "parquet"},
    tables=("draft_reasons",),
    artifacts=("reason_policy", "reward_model"),
    settings=(
        *(f"reasons.{name}" for name in _OF_THE_WALK),
        "explanation",
        "evidence.level_cuts",
        "language_model.max_new_tokens",
        "language_model.max_prompt_tokens",
        "server.model",
        "language_model.temperature",
        "seed",
    ),
    resources=("language_model", "generator_factory", "text_encoder", "accelerator"),
    view=Choice(
        _events_to_walk,
        tables=("event_splits", "event_evidence", "items"),
        settings=(
            "alignment.reason_examples",
            "alignment.verdict_examples",
            "alignment.note_examples",
            "policy.steps",
            "policy.prompts_per_step",
            "data.max_history",
        ),
    ),
    guard=_policy_knows_the_reward_model,
    describe=_describe_walk,
)
def generated_reasons(inputs: Inputs) -> Mapping[str, Any]:
    """Reasons written event by event in time order, with notes corrected by earlier outcomes.

    One Parquet file per shard; an interrupted walk goes on after its last finished shard.
    """
    from curec_assets.reasons.by_round import by_round
    from curec_assets.reasons.events import walk_shards
    from curec_assets.reasons.walk import Walk
    from curec_assets.reward.drafting import draft_cuts
    from curec_assets.reward.scoring import RewardScorer

    walked, workspace, folder = inputs.view, inputs.workspace(), inputs.output()
    policy, reward = inputs.artifact("reason_policy"), inputs.artifact("reward_model")
    catalogue = Catalogue(walked.items)
    device = inputs.resource("accelerator").resolve().device
    with writer_of(inputs, "reason_policy") as generator:
        walk = Walk(
            generator,
            RewardScorer.load(reward, inputs.resource("text_encoder"), device=device),
            GroundingChecker(inputs.settings.explanation.max_words),
            inputs.settings,
            identity=f"{policy.manifest.data_version} {reward.manifest.data_version}",
            folder=workspace,
            level_cuts=draft_cuts(inputs.table("draft_reasons")),
        )
        shards = walk.run(
            walk_shards(
                walked.events,
                walked.histories,
                walked.facts,
                catalogue,
                inputs.settings.explanation,
            )
        )
        engine = generator.engine
    for shard in shards:
        shutil.copy(shard, folder / shard.name)
    rows = pl.concat([pl.read_parquet(path) for path in shards])
    outcomes = walked.events.select("event_id", "liked")
    return {
        "shards": len(shards),
        "reasons": rows.height,
        "engine": engine,
        "by_round": by_round(
            rows.join(outcomes, on="event_id"), inputs.settings.evidence.level_cuts
        ),
    }


@table(
    group="reasons",
    kinds={"duckdb", "polars"},
    key=["event_id"],
    artifacts=("generated_reasons", "reason_policy"),
    guard=_shards_are_of_the_policy,
    lineage=True,
    describe=lambda rows, _: _describe(rows),
)
def recommendation_reasons(inputs: Inputs) -> pl.DataFrame:
    """The product: one corrected reason per event, with the numbers behind it and its lineage."""
    generated, policy = inputs.artifact("generated_reasons"), inputs.artifact("reason_policy")
    return (
        _read_shards(generated)
        .drop("next_note")
        .with_columns(
            policy_fingerprint=pl.lit(policy.manifest.fingerprint),
            generation_fingerprint=pl.lit(generated.manifest.fingerprint),
        )
        .sort("timestamp", "event_id")
    )


def _describe_live(rows: pl.DataFrame, _: Inputs) -> Mapping[str, Any]:
    shown = rows.select("timestamp", "title", "level", "reason", "liked")
    composed = float((rows["source"] == "composer").sum())
    return {
        "samples": markdown_table(shown.tail(12), limit=12),
        "composer_share": composed / max(rows.height, 1),
        "waiting": waiting(rows),
    }


@table(
    group="reasons",
    kinds={"huggingface", "duckdb"},
    key=["event_id"],
    tables=(
        *("interactions", "training_snapshot", "items", "item_embeddings"),
        *("recommendation_reasons", "draft_reasons"),
    ),
    artifacts=("evidence_model", "reason_policy"),
    settings=(
        "reasons.live_events",
        "reasons.budget",
        "data.max_history",
        "reasons.max_regenerations",
        "reasons.max_level_gap",
        "evidence",
        "explanation",
        "language_model.max_new_tokens",
        "language_model.max_prompt_tokens",
        "server.model",
        "language_model.temperature",
        "seed",
    ),
    resources=("language_model", "generator_factory"),
    lasting=("interactions", "items", "item_embeddings"),
    describe=_describe_live,
)
def live_reasons(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """Reasons for the newest events since the snapshot, by what was known strictly before each.

    Each is written once, and stays until something of its own user's changes before it; the policy
    writes the newest, some in each run, and the composer the rest meanwhile.
    """
    from curec_assets.evidence.crossfit import load_final
    from curec_assets.evidence.judge import judge_candidates
    from curec_assets.evidence.numbers import EvidenceNumbers
    from curec_assets.reasons.judged import with_reasons
    from curec_assets.reasons.lasting import Allowance, kept, with_basis
    from curec_assets.reasons.live import new_events, notes_before
    from curec_assets.reward.drafting import draft_cuts

    profile, policy = inputs.settings, inputs.artifact("reason_policy")
    interactions, items = inputs.table("interactions"), inputs.table("items")
    new = new_events(
        interactions, inputs.table("training_snapshot", ["event_id"]), profile.reasons.live_events
    )
    every = new.select("event_id", "user_id", "item_id", "timestamp", "liked")
    histories = histories_of(every, interactions, profile.data.max_history)
    every = with_basis(every, histories, items)
    stay = kept(every, inputs.earlier, "event_id")
    asked = every.join(stay, on="event_id", how="anti", maintain_order="left")
    if asked.is_empty() and inputs.earlier is not None:
        return stay.select(inputs.earlier.columns), {WAITING: 0}
    catalogue = Catalogue(items)
    rows = asked.select("user_id", "item_id", "timestamp")
    if asked.is_empty():
        judged = pl.DataFrame(schema=EVIDENCE)
    else:
        numbers = EvidenceNumbers(
            interactions,
            items,
            inputs.table("item_embeddings"),
            profile.evidence,
            profile.seed,
            fits=inputs.fits(),
        )
        model = load_final(inputs.artifact("evidence_model").path)
        judged = judge_candidates(rows, numbers, model, profile.evidence)
    notes = notes_before(
        asked,
        interactions,
        histories.join(asked, on="event_id", how="semi", maintain_order="left"),
        inputs.table("recommendation_reasons", ["user_id", "timestamp", "note"]),
        catalogue,
        profile.explanation,
    )
    with writer_of(inputs, "reason_policy") as generator:
        written = with_reasons(
            asked,
            pl.concat([rows.select("timestamp"), judged], how="horizontal"),
            notes,
            generator,
            catalogue,
            profile,
            policy.manifest.fingerprint,
            draft_cuts(inputs.table("draft_reasons")),
            Allowance(
                profile.reasons.budget,
                order=range(asked.height - 1, -1, -1),
                is_kept=generator.keeps,
            ),
        )
    found = pl.concat([stay.select(written.columns), written]) if stay.height else written
    found = found.sort("timestamp", "event_id")
    return found, {WAITING: waiting(found)}


RECIPES = (generated_reasons, recommendation_reasons, live_reasons)
