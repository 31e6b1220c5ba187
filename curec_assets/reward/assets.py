"""Assets of the group `reward`: drafted reasons and the model that judges reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import Choice, artifact, table
from curec_assets.display.charts import interval_chart, line_chart
from curec_assets.explanation.facts import Catalogue, Facts, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.reward import drafting
from curec_assets.settings import Profile
from resources.generation.journal import journaled_generator
from resources.storage.model_store import Artifact


@dataclass(frozen=True)
class _Drafted:
    """The events that get a draft, and all that their prompts and checks are made from."""

    events: pl.DataFrame
    facts: Mapping[str, Facts]
    items: pl.DataFrame


def _events_to_draft(inputs: Inputs) -> _Drafted:
    profile = inputs.settings
    evidence = inputs.table("collaborative_evidence")
    events = drafting.events_to_draft(inputs.table("event_splits"), evidence, profile)
    histories = inputs.table("histories", ["event_id", "item_ids", "likes"])
    items = inputs.table("items", ["item_id", "title", "attributes"])
    facts = facts_by_event(events, evidence, histories, Catalogue(items), profile.evidence)
    return _Drafted(events, facts, items)


def _describe_drafts(rows: pl.DataFrame, _: Inputs) -> Mapping[str, Any]:
    """How many are grounded, and a few to read."""
    agrees = (pl.col("verdict") == "like") == pl.col("liked")
    summary = rows.group_by("split").agg(
        drafts=pl.len(),
        grounded=pl.col("grounded").mean().round(3),
        verdict_agrees=agrees.mean().round(3),
    )
    return {
        "summary": summary.sort("split"),
        "samples": rows.select("split", "verdict", "verdict_probability", "grounded", "reason"),
    }


@table(
    group="reward",
    kinds={"duckdb", "huggingface"},
    key=["event_id"],
    schema=drafting.SCHEMA,
    artifacts=("aligned_llm",),
    settings=(
        "explanation.max_words",
        "language_model.max_new_tokens",
        "language_model.max_prompt_tokens",
        "server.model",
        "seed",
    ),
    resources=("language_model", "generator_factory"),
    view=Choice(
        _events_to_draft,
        tables=("event_splits", "collaborative_evidence", "histories", "items"),
        settings=("reward.draft_train", "reward.draft_validation", "evidence"),
    ),
    describe=_describe_drafts,
)
def draft_reasons(inputs: Inputs) -> pl.DataFrame:
    """Reasons by the aligned model for events of the reward fold and of validation.

    What the reward model is fitted and judged on; first attempts, kept as they are.
    """
    aligned, drafted = inputs.artifact("aligned_llm"), inputs.view
    with journaled_generator(
        inputs.resource("generator_factory"),
        inputs.base_model(),
        aligned.path / "adapter",
        inputs.settings.generator_options(),
        workspace=inputs.workspace(),
        identity=aligned.manifest.data_version,
    ) as generator:
        return drafting.draft(
            generator,
            drafted.events,
            drafted.facts,
            GroundingChecker(Catalogue(drafted.items), inputs.settings.explanation.max_words),
            inputs.settings,
            aligned.manifest.fingerprint,
        )


@dataclass(frozen=True)
class _Judged:
    """The events that the reward model reads, and their drafts."""

    events: pl.DataFrame
    draft_reasons: pl.DataFrame


def _events_to_judge(inputs: Inputs) -> _Judged:
    from curec_assets.reward.dataset import events_with_histories, reward_events

    drafts = inputs.table("draft_reasons", ["event_id", "reason"])
    events = reward_events(inputs.table("event_splits"), drafts)
    histories = inputs.table("histories", ["event_id", "item_ids", "likes"])
    return _Judged(events_with_histories(events, histories), drafts)


def _model_settings(profile: Profile) -> tuple[str, ...]:
    # What only decides which drafts exist, or what happens after a failed gate, is not part of
    # the model's identity: the drafts themselves are among the inputs.
    elsewhere = {"draft_train", "draft_validation", "gate_blocks"}
    fields = type(profile.reward).model_fields
    return (*(f"reward.{name}" for name in fields if name not in elsewhere), "seed")


def _describe_reward_model(stored: Artifact, _: Inputs) -> Mapping[str, Any]:
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
    return {
        "gate": str(gate),
        "gate_passed": gate.passed,
        "losses": line_chart(
            {
                "fitted on": [epoch["train"] for epoch in metrics["epochs"]],
                "users kept out": [epoch["held_out"] for epoch in metrics["epochs"]],
            },
            title=f"Cross-entropy (epoch {metrics['chosen_epoch']} kept)",
            x_label="epoch",
            y_label="nats per event",
        ),
        "aucs": interval_chart(bars, title="AUC on validation drafts", y_label="AUC"),
        "train_events": metrics["train_events"],
        "train_drafts": metrics["train_drafts"],
        "gate_events": metrics["gate_events"],
    }


@artifact(
    group="reward",
    kinds={"torch"},
    settings=_model_settings,
    resources=("text_encoder", "accelerator"),
    view=Choice(_events_to_judge, tables=("event_splits", "histories", "draft_reasons")),
    describe=_describe_reward_model,
)
def reward_model(inputs: Inputs) -> Mapping[str, Any]:
    """Click model that tells how much a reason helps to predict what a user likes.

    Fitted on the reward fold; the gate compares own, null and shuffled reasons on validation.
    """
    from curec_assets.reward.build import build_reward_model

    profile = inputs.settings
    return build_reward_model(
        inputs.output(),
        inputs.view.events,
        inputs.view.draft_reasons,
        inputs.resource("text_encoder"),
        settings=profile.reward,
        encoder=profile.encoder,
        seed=profile.seed,
        device=inputs.resource("accelerator").resolve().device,
        log=inputs.log,
    )


RECIPES = (draft_reasons, reward_model)
