"""Checks of the alignment stage."""

import re

import dagster as dg
import polars as pl

from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import parse_reason
from curec_assets.settings import Settings
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_TASTE = re.compile(r"^Taste: (.+)$", re.MULTILINE)


@dg.asset_check(
    asset="alignment_corpus",
    blocking=True,
    description="Every example is about a training event of the policy fold.",
)
def corpus_is_policy_fold(warehouse: Warehouse) -> dg.AssetCheckResult:
    """No event of the reward fold, validation or test teaches the model."""
    corpus = warehouse.read("alignment_corpus", ["event_id"])
    fold = warehouse.read("event_splits", ["event_id", "fold"])
    stray = corpus.join(fold.filter(pl.col("fold") == "policy"), on="event_id", how="anti")
    return dg.AssetCheckResult(
        passed=stray.is_empty(), metadata={"stray_events": stray.height, "examples": corpus.height}
    )


@dg.asset_check(
    asset="alignment_corpus",
    blocking=True,
    description="Every target reason is accepted by the grounding check that judges the model.",
)
def targets_are_grounded(settings: Settings, warehouse: Warehouse) -> dg.AssetCheckResult:
    """A target that the check refuses would teach what is punished later."""
    corpus = warehouse.read("alignment_corpus").filter(pl.col("task") == "reason")
    events = warehouse.read("event_splits", ["event_id", "item_id"])
    catalogue = Catalogue(warehouse.read("items"))
    facts = facts_by_event(
        events.filter(pl.col("event_id").is_in(corpus["event_id"].to_list())),
        warehouse.read("collaborative_evidence"),
        warehouse.read("histories", ["event_id", "item_ids", "likes"]),
        catalogue,
        settings.resolve().evidence,
    )
    checker = GroundingChecker(catalogue, settings.resolve().explanation.max_words)
    refused = []
    for row in corpus.iter_rows(named=True):
        parsed = parse_reason(row["completion"])
        if parsed is None:
            refused.append(row["completion"])
            continue
        note = _TASTE.search(row["user"])
        shown = facts[row["event_id"]].with_note(note[1] if note else "")
        result = checker.check(parsed.reason, shown, parsed.verdict)
        if not result.accepted:
            refused.append(f"{parsed.reason} — {', '.join(result.unsupported) or 'malformed'}")
    return dg.AssetCheckResult(
        passed=not refused,
        metadata={"refused": len(refused), "examples": dg.MetadataValue.json(refused[:5])},
    )


@dg.asset_check(asset="aligned_llm", description="The loss fell during alignment.")
def alignment_learned(model_store: ModelStore) -> dg.AssetCheckResult:
    """The mean loss of the last quarter of steps is below that of the first quarter."""
    loss = model_store.current("aligned_llm").manifest.metrics["loss"]
    quarter = max(1, len(loss) // 4)
    first, last = sum(loss[:quarter]) / quarter, sum(loss[-quarter:]) / quarter
    return dg.AssetCheckResult(
        passed=last < first,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"first_quarter": first, "last_quarter": last},
    )
