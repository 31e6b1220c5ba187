"""Assets of the group `reasons`: the walk's shards, and the reasons as a table."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import Choice, artifact, table
from curec_assets.display.tables import markdown_table
from curec_assets.explanation.facts import Catalogue, Facts, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.selection import divide_policy_fold
from curec_assets.reasons.selection import select_walk
from resources.errors import ArtifactError
from resources.generation.journal import journaled_generator
from resources.storage.model_store import Artifact


@dataclass(frozen=True)
class _Walked:
    """The events that are walked, and all that prompts, checks and reward are made from."""

    events: pl.DataFrame
    histories: pl.DataFrame
    facts: Mapping[str, Facts]
    items: pl.DataFrame


def _events_to_walk(inputs: Inputs) -> _Walked:
    profile = inputs.settings
    splits, evidence = inputs.table("event_splits"), inputs.table("collaborative_evidence")
    events = select_walk(splits, evidence, divide_policy_fold(splits, evidence, profile), profile)
    histories = inputs.table("histories", ["event_id", "item_ids", "likes"]).filter(
        pl.col("event_id").is_in(events["event_id"].to_list())
    )
    items = inputs.table("items", ["item_id", "title", "attributes"])
    facts = facts_by_event(events, evidence, histories, Catalogue(items), profile.evidence)
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


def _describe(rows: pl.DataFrame, _: Inputs) -> Mapping[str, Any]:
    by_split = rows.group_by("split").agg(
        reasons=pl.len(),
        grounded=pl.col("grounded").mean().round(3),
        grounded_at_once=pl.col("first_grounded").mean().round(3),
        composer=(pl.col("source") == "composer").mean().round(3),
        reward=pl.col("reward").mean().round(4),
    )
    samples = rows.select("split", "round", "verdict", "source", "reward", "note", "reason")
    return {
        "by_split": by_split.sort("split"),
        "samples": markdown_table(samples, limit=12),
        "grounded": float(rows["grounded"].mean() or 0.0),  # type: ignore[arg-type]
        "composer_share": float((rows["source"] == "composer").sum()) / max(rows.height, 1),
        "prompts_shortened": int((rows["history_left_out"] > 0).sum()),
    }


@artifact(
    group="reasons",
    kinds={"huggingface", "parquet"},
    artifacts=("reason_policy", "reward_model"),
    settings=(
        "reasons",
        "explanation",
        "language_model.max_new_tokens",
        "language_model.max_prompt_tokens",
        "server.model",
        "language_model.temperature",
        "seed",
    ),
    resources=("language_model", "generator_factory", "text_encoder", "accelerator"),
    view=Choice(
        _events_to_walk,
        tables=("event_splits", "collaborative_evidence", "histories", "items"),
        settings=(
            "alignment.reason_examples",
            "alignment.verdict_examples",
            "alignment.note_examples",
            "policy.steps",
            "policy.prompts_per_step",
            "evidence",
        ),
    ),
    guard=_policy_knows_the_reward_model,
    describe=lambda stored, inputs: _describe(_read_shards(stored), inputs),
)
def generated_reasons(inputs: Inputs) -> Mapping[str, Any]:
    """Reasons written event by event in time order, with notes corrected by earlier outcomes.

    One Parquet shard per round; an interrupted walk goes on after its last finished round.
    """
    from curec_assets.reasons.events import walk_rounds
    from curec_assets.reasons.walk import Walk
    from curec_assets.reward.scoring import RewardScorer

    walked, workspace, folder = inputs.view, inputs.workspace(), inputs.output()
    policy, reward = inputs.artifact("reason_policy"), inputs.artifact("reward_model")
    catalogue = Catalogue(walked.items)
    device = inputs.resource("accelerator").resolve().device
    with journaled_generator(
        inputs.resource("generator_factory"),
        inputs.base_model(),
        policy.path / "adapter",
        inputs.settings.generator_options(),
        workspace=workspace,
        identity=policy.manifest.data_version,
    ) as generator:
        walk = Walk(
            generator,
            RewardScorer.load(reward, inputs.resource("text_encoder"), device=device),
            GroundingChecker(catalogue, inputs.settings.explanation.max_words),
            inputs.settings,
            identity=f"{policy.manifest.data_version} {reward.manifest.data_version}",
            shards=workspace,
        )
        shards = walk.run(
            walk_rounds(
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
    return {"rounds": len(shards), "reasons": walked.events.height, "engine": engine}


@table(
    group="reasons",
    kinds={"duckdb", "polars"},
    key=["event_id"],
    artifacts=("generated_reasons", "reason_policy"),
    guard=_shards_are_of_the_policy,
    lineage=True,
    describe=_describe,
)
def recommendation_reasons(inputs: Inputs) -> pl.DataFrame:
    """The product: one corrected reason per event, with its verdict, groundedness and lineage."""
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


RECIPES = (generated_reasons, recommendation_reasons)
