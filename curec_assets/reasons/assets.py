"""Assets of the group `reasons`: the walk's shards, and the reasons as a table."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.core import materialize
from curec_assets.core.provenance import content_hash
from curec_assets.display.tables import markdown_table
from curec_assets.explanation.facts import Catalogue, facts_by_event, facts_fingerprint
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.selection import divide_policy_fold
from curec_assets.reasons.selection import select_walk
from curec_assets.settings import Settings
from resources.compute.accelerator import Accelerator
from resources.errors import ArtifactError
from resources.generation.journaling import journaled_generator
from resources.generation.protocol import GeneratorFactory
from resources.models.base_models import LanguageModel
from resources.models.text_encoder import TextEncoder
from resources.storage.model_store import Artifact, ModelStore
from resources.storage.warehouse import Warehouse


@dg.asset(
    group_name="reasons",
    kinds={"huggingface", "parquet"},
    owners=["team:curec"],
    pool="gpu",
    code_version="3",
    deps=[
        "reason_policy",
        "reward_model",
        "event_splits",
        "collaborative_evidence",
        "histories",
        "items",
    ],
)
def generated_reasons(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
    language_model: LanguageModel,
    generator_factory: dg.ResourceParam[GeneratorFactory],
    text_encoder: TextEncoder,
    accelerator: Accelerator,
) -> dg.MaterializeResult[None]:
    """Reasons written event by event in time order, with notes corrected by earlier outcomes.

    One Parquet shard per round; an interrupted walk goes on after its last finished round.
    """
    profile = settings.resolve()
    policy, reward = model_store.current("reason_policy"), model_store.current("reward_model")
    _require_same("reason_policy", policy, "reward_model", reward)
    splits, evidence = warehouse.read("event_splits"), warehouse.read("collaborative_evidence")
    events = select_walk(splits, evidence, divide_policy_fold(splits, evidence, profile), profile)
    histories = warehouse.read("histories", ["event_id", "item_ids", "likes"]).filter(
        pl.col("event_id").is_in(events["event_id"].to_list())
    )
    catalogue = Catalogue(warehouse.read("items"))
    facts = facts_by_event(events, evidence, histories, catalogue, profile.evidence)

    def build(folder: Path, workspace: Path) -> Mapping[str, Any]:
        from curec_assets.reasons.events import walk_rounds
        from curec_assets.reasons.walk import Walk
        from curec_assets.reward.scoring import RewardScorer

        model = profile.language_model
        base = language_model.prepare(model.base, allow_code_of=model.allow_code_of)
        with journaled_generator(
            generator_factory,
            base.path,
            policy.path / "adapter",
            profile.generator_options(),
            workspace=workspace,
            identity=policy.manifest.data_version,
        ) as writer:
            walk = Walk(
                writer,
                RewardScorer.load(reward, text_encoder, device=accelerator.resolve().device),
                GroundingChecker(catalogue),
                profile,
                identity=f"{policy.manifest.data_version} {reward.manifest.data_version}",
                shards=workspace,
            )
            shards = walk.run(walk_rounds(events, histories, facts, catalogue))
            engine = writer.engine
        for shard in shards:
            shutil.copy(shard, folder / shard.name)
        return {"rounds": len(shards), "reasons": events.height, "engine": engine}

    return materialize.artifact(
        context,
        model_store,
        config={
            "reasons": profile.reasons.config(),
            "max_new_tokens": profile.language_model.max_new_tokens,
            "max_prompt_tokens": profile.language_model.max_prompt_tokens,
            "temperature": profile.language_model.temperature,
            "seed": profile.seed,
        },
        inputs={
            "reason_policy": policy.manifest.data_version,
            "reward_model": reward.manifest.data_version,
            "base_model": language_model.revision(profile.language_model.base),
            "events": content_hash(events, key=["event_id"]),
            "histories": content_hash(histories, key=["event_id"]),
            "facts": facts_fingerprint(facts),
        },
        build=build,
        describe=lambda stored: _describe(_read_shards(stored)),
    )


@dg.asset(
    group_name="reasons",
    kinds={"duckdb", "polars"},
    owners=["team:curec"],
    pool="warehouse",
    code_version="1",
    deps=["generated_reasons", "reason_policy"],
)
def recommendation_reasons(
    context: dg.AssetExecutionContext, warehouse: Warehouse, model_store: ModelStore
) -> dg.MaterializeResult[None]:
    """The product: one corrected reason per event, with its verdict, groundedness and lineage."""
    generated = model_store.current("generated_reasons")
    policy = model_store.current("reason_policy")
    _require_same("generated_reasons", generated, "reason_policy", policy)

    def build() -> pl.DataFrame:
        return (
            _read_shards(generated)
            .drop("next_note")
            .with_columns(
                policy_fingerprint=pl.lit(policy.manifest.fingerprint),
                generation_fingerprint=pl.lit(generated.manifest.fingerprint),
            )
            .sort("timestamp", "event_id")
        )

    return materialize.table(
        context,
        warehouse,
        key=["event_id"],
        config={},
        inputs={
            "generated_reasons": generated.manifest.data_version,
            "reason_policy": policy.manifest.fingerprint,
        },
        build=build,
        describe=_describe,
    )


def _read_shards(stored: Artifact) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(stored.path.glob("*.parquet"))])


def _require_same(consumer: str, made: Artifact, name: str, current: Artifact) -> None:
    """Refuse to mix generations: `made` must have been made with `current`."""
    used = made.manifest.inputs[name]
    if used != current.manifest.data_version:
        raise ArtifactError(
            f"{consumer!r} ({made.manifest.fingerprint}) was made with {name!r} of data version "
            f"{used}, but the current {name!r} ({current.manifest.fingerprint}) has "
            f"{current.manifest.data_version}; materialise {consumer!r} again"
        )


def _describe(rows: pl.DataFrame) -> Mapping[str, Any]:
    by_split = rows.group_by("split").agg(
        reasons=pl.len(),
        grounded=pl.col("grounded").mean().round(3),
        grounded_at_once=pl.col("first_grounded").mean().round(3),
        composer=(pl.col("source") == "composer").mean().round(3),
        reward=pl.col("reward").mean().round(4),
    )
    samples = rows.select("split", "round", "verdict", "source", "reward", "note", "reason")
    return {
        "by_split": dg.MetadataValue.md(markdown_table(by_split.sort("split"))),
        "samples": dg.MetadataValue.md(markdown_table(samples, limit=12)),
        "grounded": float(rows["grounded"].mean() or 0.0),  # type: ignore[arg-type]
        "composer_share": float((rows["source"] == "composer").sum()) / max(rows.height, 1),
        "prompts_shortened": int((rows["history_left_out"] > 0).sum()),
    }
