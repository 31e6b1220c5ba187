"""Checks of the group `reward`."""

import math

import dagster as dg

from curec_assets.display.tables import markdown_table
from curec_assets.settings import Settings
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse


@dg.asset_check(
    asset="reward_model",
    description="A reason tells both readers more than the null and than another user's reason "
    "does. `reason_policy` asks by itself, and refuses where reward.gate_blocks is on.",
)
def reward_gate(settings: Settings, model_store: ModelStore) -> dg.AssetCheckResult:
    """Own reason above null and shuffled, for both readers, by a paired bootstrap on validation."""
    from curec_assets.reward.gate import stored_gate

    gate = stored_gate(model_store.current("reward_model").manifest)
    blocks = settings.resolve().reward.gate_blocks
    return dg.AssetCheckResult(
        passed=gate.passed,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        description=f"gate {gate}",
        metadata={"gate": dg.MetadataValue.json(gate.to_json())},
    )


@dg.asset_check(
    asset="reward_model", blocking=True, description="Every loss of every epoch is a number."
)
def reward_losses_finite(model_store: ModelStore) -> dg.AssetCheckResult:
    """No epoch diverged."""
    metrics = model_store.current("reward_model").manifest.metrics
    wrong = [
        f"epoch {number}: {name} {value}"
        for number, epoch in enumerate(metrics["epochs"], start=1)
        for name, value in epoch.items()
        if value is None or not math.isfinite(value)
    ]
    return dg.AssetCheckResult(
        passed=not wrong and bool(metrics["epochs"]),
        description="; ".join(wrong) or None,
        metadata={"epochs": len(metrics["epochs"])},
    )


@dg.asset_check(
    asset="draft_reasons",
    additional_deps=["event_splits"],
    blocking=True,
    description="Drafts belong to the reward fold or to validation: none to the policy fold (which "
    "the reward model must not have seen) and none to test.",
)
def drafts_in_their_fold(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every drafted event is of fold `reward` or split `validation`."""
    from curec_assets.reward.dataset import misplaced_drafts

    drafts = warehouse.read("draft_reasons", ["event_id"])
    splits = warehouse.read("event_splits", ["event_id", "split", "fold"])
    misplaced = misplaced_drafts(splits, drafts)
    return dg.AssetCheckResult(
        passed=misplaced.is_empty(),
        metadata={
            "misplaced": misplaced.height,
            "examples": dg.MetadataValue.md(markdown_table(misplaced)),
        },
    )
