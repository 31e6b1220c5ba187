"""Checks of the alignment stage."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.evidence.levels import LEVELS
from curec_assets.explanation.facts import Catalogue, Facts, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import parse_reason
from curec_assets.explanation.reading import skeleton
from curec_assets.settings import ExplanationSettings, Settings
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_ENOUGH = 300  # examples from which a corpus is expected to be varied
_MOST_OF_A_FRAME = 0.1
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
    explanation = settings.resolve().explanation
    checker = GroundingChecker(explanation.max_words)
    refused = []
    for row, facts in _reasons(warehouse, explanation):
        parsed = parse_reason(row["completion"])
        if parsed is None:
            refused.append(row["completion"])
            continue
        result = checker.check(parsed, facts)
        if not result.accepted:
            refused.append(f"{parsed.why} — {', '.join(result.unsupported) or 'malformed'}")
    return dg.AssetCheckResult(
        passed=not refused,
        metadata={"refused": len(refused), "examples": dg.MetadataValue.json(refused[:5])},
    )


@dg.asset_check(
    asset="alignment_corpus",
    description="In a large corpus no sentence frame has more than a tenth of the reasons, all "
    "nine levels occur, and hardly a sentence is there twice.",
)
def corpus_is_varied(settings: Settings, warehouse: Warehouse) -> dg.AssetCheckResult:
    """A model learns a frame that is used too often by heart, and no level that it never saw."""
    reasons = list(_reasons(warehouse, settings.resolve().explanation))
    parsed = [(parse_reason(row["completion"]), facts) for row, facts in reasons]
    frames = Counter(skeleton(each.why, facts) for each, facts in parsed if each)
    chains = warehouse.read("alignment_corpus", ["task", "completion"])
    chains = chains.filter(pl.col("task") != "note")
    levels = Counter(
        each.level for text in chains["completion"] if (each := parse_reason(text)) is not None
    )
    share = max(frames.values(), default=0) / max(1, len(reasons))
    unique = len({each.why for each, _ in parsed if each}) / max(1, len(reasons))
    even = len(reasons) < _ENOUGH or share <= _MOST_OF_A_FRAME
    complete = chains.height < _ENOUGH or len(levels) == LEVELS
    return dg.AssetCheckResult(
        passed=even and complete,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "frames": len(frames),
            "largest_share_of_a_frame": share,
            "unique_sentences": unique,
            "levels": dg.MetadataValue.json({str(n): levels[n] for n in range(1, LEVELS + 1)}),
        },
    )


def _reasons(
    warehouse: Warehouse, explanation: ExplanationSettings
) -> Iterator[tuple[dict[str, Any], Facts]]:
    """The corpus' reason examples, each with what its prompt offers."""
    corpus = warehouse.read("alignment_corpus").filter(pl.col("task") == "reason")
    events = warehouse.read("event_splits", ["event_id", "item_id"])
    facts = facts_by_event(
        events.filter(pl.col("event_id").is_in(corpus["event_id"].to_list())),
        warehouse.read("event_evidence", ["event_id", "facts"]),
        Catalogue(warehouse.read("items")),
        explanation,
    )
    for row in corpus.iter_rows(named=True):
        note = _TASTE.search(row["user"])
        yield row, facts[row["event_id"]].with_note(note[1] if note else "")


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
