"""Assets of the group `reward`: drafted reasons and the model that judges reasons."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.core import materialize
from curec_assets.core.provenance import content_hash
from curec_assets.display.charts import interval_chart, line_chart
from curec_assets.display.tables import markdown_table
from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import prompt_fingerprint, reason_prompt
from curec_assets.reward import drafting
from curec_assets.settings import Settings
from resources.compute.accelerator import Accelerator
from resources.generation.journaling import journaled_generator
from resources.generation.protocol import GeneratorFactory
from resources.models.base_models import LanguageModel
from resources.models.text_encoder import TextEncoder
from resources.storage.model_store import Artifact, ModelStore
from resources.storage.warehouse import Warehouse


@dg.asset(
    group_name="reward",
    kinds={"duckdb", "huggingface"},
    owners=["team:curec"],
    pool="gpu",
    code_version="3",
    deps=["aligned_llm", "event_splits", "collaborative_evidence", "histories", "items"],
)
def draft_reasons(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
    language_model: LanguageModel,
    generator_factory: dg.ResourceParam[GeneratorFactory],
) -> dg.MaterializeResult[None]:
    """Reasons by the aligned model for events of the reward fold and of validation.

    What the reward model is fitted and judged on; first attempts, kept as they are.
    """
    profile = settings.resolve()
    aligned = model_store.current("aligned_llm")
    evidence = warehouse.read("collaborative_evidence")
    events = drafting.select_events(warehouse.read("event_splits"), evidence, profile)
    catalogue = Catalogue(warehouse.read("items"))
    histories = warehouse.read("histories", ["event_id", "item_ids", "likes"])
    facts = facts_by_event(events, evidence, histories, catalogue, profile.evidence)
    prompts = [reason_prompt(facts[event_id]) for event_id in events["event_id"]]

    def build(workspace: Path) -> pl.DataFrame:
        model = profile.language_model
        base = language_model.prepare(model.base, allow_code_of=model.allow_code_of)
        with journaled_generator(
            generator_factory,
            base.path,
            aligned.path / "adapter",
            profile.generator_options(),
            workspace=workspace,
            identity=aligned.manifest.data_version,
        ) as writer:
            return drafting.draft(
                writer,
                events,
                facts,
                GroundingChecker(catalogue),
                profile,
                aligned.manifest.fingerprint,
            )

    with model_store.unfinished("draft_reasons", aligned.manifest.fingerprint) as workspace:
        return materialize.table(
            context,
            warehouse,
            key=["event_id"],
            config={
                "max_new_tokens": profile.language_model.max_new_tokens,
                "max_prompt_tokens": profile.language_model.max_prompt_tokens,
                "seed": profile.seed,
            },
            inputs={
                "aligned_llm": aligned.manifest.data_version,
                "base_model": language_model.revision(profile.language_model.base),
                "events": content_hash(events, key=["event_id"]),
                "prompts": prompt_fingerprint(prompts),
            },
            build=lambda: build(workspace),
            describe=_describe_drafts,
        )


@dg.asset(
    group_name="reward",
    kinds={"torch"},
    owners=["team:curec"],
    pool="gpu",
    code_version="1",
    deps=["event_splits", "histories", "draft_reasons"],
)
def reward_model(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
    text_encoder: TextEncoder,
    accelerator: Accelerator,
) -> dg.MaterializeResult[None]:
    """Click model that tells how much a reason helps to predict what a user likes.

    Fitted on the reward fold; the gate compares own, null and shuffled reasons on validation.
    """
    from curec_assets.reward.dataset import events_with_histories, select_events

    profile = settings.resolve()
    drafts = warehouse.read("draft_reasons", ["event_id", "reason"])
    events = select_events(warehouse.read("event_splits"), drafts)
    frame = events_with_histories(
        events, warehouse.read("histories", ["event_id", "item_ids", "likes"])
    )

    def build(folder: Path, _workspace: Path) -> Mapping[str, Any]:
        from curec_assets.reward.build import build_reward_model

        return build_reward_model(
            folder,
            frame,
            drafts,
            text_encoder,
            settings=profile.reward,
            encoder=profile.encoder,
            seed=profile.seed,
            device=accelerator.resolve().device,
            log=context.log.info,
        )

    # What only decides which drafts exist, or what happens after a failed gate, is not part of
    # the model's identity: the drafts themselves are among the inputs.
    elsewhere = {"draft_train", "draft_validation", "gate_blocks"}
    return materialize.artifact(
        context,
        model_store,
        config={
            "reward": {k: v for k, v in profile.reward.config().items() if k not in elsewhere},
            "encoder": profile.encoder.source,
            "seed": profile.seed,
        },
        inputs={
            "events": content_hash(frame, key=["event_id"]),
            "draft_reasons": content_hash(drafts, key=["event_id"]),
            "text_encoder": text_encoder.revision(profile.encoder.source),
        },
        build=build,
        describe=_describe_reward_model,
    )


def _describe_drafts(rows: pl.DataFrame) -> Mapping[str, Any]:
    """How many are grounded, and a few to read."""
    agrees = (pl.col("verdict") == "like") == pl.col("liked")
    summary = rows.group_by("split").agg(
        drafts=pl.len(),
        grounded=pl.col("grounded").mean().round(3),
        verdict_agrees=agrees.mean().round(3),
    )
    samples = rows.select("split", "verdict", "verdict_probability", "grounded", "reason")
    return {
        "summary": dg.MetadataValue.md(markdown_table(summary.sort("split"))),
        "samples": dg.MetadataValue.md(markdown_table(samples)),
    }


def _describe_reward_model(stored: Artifact) -> Mapping[str, Any]:
    """Loss curves, the three AUCs as bars, and the gate in words."""
    from curec_assets.reward.gate import stored_gate

    metrics = stored.manifest.metrics
    gate = stored_gate(stored.manifest)
    bars = {
        name: (estimate.value, estimate.low, estimate.high)
        for name, estimate in (
            ("own reason", gate.reason),
            ("null", gate.null),
            ("another user's", gate.shuffled),
        )
    }
    losses = line_chart(
        {
            "fitted on": [epoch["train"] for epoch in metrics["epochs"]],
            "users kept out": [epoch["held_out"] for epoch in metrics["epochs"]],
        },
        title=f"Cross-entropy (epoch {metrics['chosen_epoch']} kept)",
        x_label="epoch",
        y_label="nats per event",
    )
    aucs = interval_chart(bars, title="AUC on validation drafts", y_label="AUC")
    return {
        "gate": str(gate),
        "gate_passed": gate.passed,
        "losses": dg.MetadataValue.md(losses),
        "aucs": dg.MetadataValue.md(aucs),
        "train_events": metrics["train_events"],
        "train_drafts": metrics["train_drafts"],
        "gate_events": metrics["gate_events"],
    }
