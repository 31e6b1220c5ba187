"""Assets of the group `reward`: drafted reasons and the model that judges reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import Choice, artifact, table
from curec_assets.datasets.histories import histories_of
from curec_assets.display.charts import interval_chart, line_chart
from curec_assets.explanation.facts import Catalogue, Facts, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.writer import writer_of
from curec_assets.reward import drafting
from curec_assets.settings import Profile
from resources.storage.model_store import Artifact

_FACTS = ("explanation.attributes", "explanation.cited_for", "explanation.cited_against")
"""Settings that decide what facts a prompt has."""


@dataclass(frozen=True)
class _Drafted:
    """The events that get a draft, and all that their prompts and checks are made from."""

    events: pl.DataFrame
    facts: Mapping[str, Facts]


def _events_to_draft(inputs: Inputs) -> _Drafted:
    profile = inputs.settings
    evidence = inputs.table("event_evidence")
    events = drafting.events_to_draft(inputs.table("event_splits"), evidence, profile)
    items = inputs.table("items", ["item_id", "title", "attributes"])
    return _Drafted(events, facts_by_event(events, evidence, Catalogue(items), profile.explanation))


def _describe_drafts(rows: pl.DataFrame, _: Inputs) -> Mapping[str, Any]:
    """How many are grounded and near the evidence model's level, and a few to read."""
    near = (pl.col("level") - pl.col("evidence_level")).abs() <= 1
    summary = rows.group_by("split").agg(
        drafts=pl.len(),
        grounded=pl.col("grounded").mean().round(3),
        within_one_level=near.mean().round(3),
        levels_used=pl.col("level").n_unique(),
    )
    return {
        "summary": summary.sort("split"),
        "samples": rows.select("split", "level", "evidence_level", "grounded", "reason"),
    }


@table(
    group="reward",
    kinds={"duckdb", "huggingface"},
    key=["event_id"],
    schema=drafting.SCHEMA,
    artifacts=("aligned_llm",),
    settings=(
        "explanation.max_words",
        "explanation.wording",
        "language_model.max_new_tokens",
        "language_model.max_prompt_tokens",
        "server.model",
        "seed",
    ),
    resources=("language_model", "generator_factory"),
    view=Choice(
        _events_to_draft,
        tables=("event_splits", "event_evidence", "items"),
        settings=("reward.draft_train", "reward.draft_validation", *_FACTS),
    ),
    describe=_describe_drafts,
)
def draft_reasons(inputs: Inputs) -> pl.DataFrame:
    """Reasons by the aligned model for events of the reward fold and of validation.

    What the reward model is fitted and judged on; first attempts, kept as they are.
    """
    aligned, drafted = inputs.artifact("aligned_llm"), inputs.view
    with writer_of(inputs, "aligned_llm") as generator:
        return drafting.draft(
            generator,
            drafted.events,
            drafted.facts,
            GroundingChecker(inputs.settings.explanation.max_words),
            inputs.settings,
            aligned.manifest.fingerprint,
        )


@dataclass(frozen=True)
class _Judged:
    """The events that the reward model reads, and their reasons."""

    events: pl.DataFrame
    reasons: pl.DataFrame


def _events_to_judge(inputs: Inputs) -> _Judged:
    from curec_assets.reward.composing import composed_reasons, events_to_compose
    from curec_assets.reward.dataset import events_with_histories, reward_events

    profile = inputs.settings
    splits, evidence = inputs.table("event_splits"), inputs.table("event_evidence")
    drafts = inputs.table("draft_reasons", ["event_id", "verdict", "why"])
    events = reward_events(splits, drafts)
    asked = splits.join(events, on="event_id", how="semi")
    histories = histories_of(asked, splits, profile.data.max_history)
    further = events_to_compose(splits, evidence, drafts, profile)
    items = inputs.table("items", ["item_id", "title", "attributes"])
    facts = facts_by_event(further, evidence, Catalogue(items), profile.explanation)
    composed = composed_reasons(further, evidence, facts, profile.seed)
    return _Judged(
        events_with_histories(events, histories), pl.concat([drafts, composed]).sort("event_id")
    )


def _model_settings(profile: Profile) -> tuple[str, ...]:
    # What only decides which drafts exist, or what happens after a failed gate, is not part of
    # the model's identity: the reasons themselves are among the inputs.
    elsewhere = {"draft_train", "draft_validation", "composed_train", "gate_blocks"}
    fields = type(profile.reward).model_fields
    return (*(f"reward.{name}" for name in fields if name not in elsewhere), "seed")


def _describe_reward_model(stored: Artifact, _: Inputs) -> Mapping[str, Any]:
    """Loss curves, the three AUCs as bars, and the gate in words."""
    from curec_assets.reward.gate import stored_gate

    metrics = stored.manifest.metrics
    gate = stored_gate(stored.manifest)
    bars = {
        f"{reader}: {name}": (estimate.value, estimate.low, estimate.high)
        for reader, of_reader in (("recommender", gate.recommender), ("plain", gate.reader))
        for name, estimate in (
            ("own reason", of_reader.reason),
            ("null", of_reader.null),
            ("another user's", of_reader.shuffled),
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
        "train_reasons": metrics["train_reasons"],
        "gate_events": metrics["gate_events"],
    }


def _tracked_gate(stored: Artifact) -> Mapping[str, float]:
    """Each reader's AUCs, differences and gain with their intervals, and whether it passed."""
    from curec_assets.reward.gate import stored_gate

    gate = stored_gate(stored.manifest)
    found: dict[str, float] = {"gate/passed": gate.passed}
    for reader, of_reader in (("recommender", gate.recommender), ("plain", gate.reader)):
        found[f"gate/{reader}/passed"] = of_reader.passed
        for name in ("reason", "null", "shuffled", "over_null", "over_shuffled", "gain"):
            estimate = getattr(of_reader, name)
            for end in ("value", "low", "high"):
                found[f"gate/{reader}/{name}/{end}"] = getattr(estimate, end)
    return found


@artifact(
    group="reward",
    kinds={"torch"},
    settings=_model_settings,
    resources=("text_encoder", "accelerator"),
    view=Choice(
        _events_to_judge,
        tables=("event_splits", "event_evidence", "items", "draft_reasons"),
        settings=("reward.composed_train", "data.max_history", "seed", *_FACTS),
    ),
    describe=_describe_reward_model,
    tracked=_tracked_gate,
)
def reward_model(inputs: Inputs) -> Mapping[str, Any]:
    """Two readers that tell how much a reason helps to predict what a user likes.

    A click model on item, history and reason, and a plain reader of the reason alone; fitted on
    drafts and composed reasons of the reward fold. The gate compares own, null and shuffled reasons
    on validation.
    """
    from curec_assets.reward.build import build_reward_model

    profile = inputs.settings
    return build_reward_model(
        inputs.output(),
        inputs.view.events,
        inputs.view.reasons,
        inputs.resource("text_encoder"),
        settings=profile.reward,
        encoder=profile.encoder,
        seed=profile.seed,
        device=inputs.resource("accelerator").resolve().device,
        log=inputs.log,
    )


RECIPES = (draft_reasons, reward_model)
