"""Checks of the reasons stage."""

import dagster as dg
import polars as pl

from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import ParsedReason
from curec_assets.explanation.selection import divide_policy_fold, with_evidence
from curec_assets.explanation.writing import shortened
from curec_assets.reasons.selection import select_walk
from curec_assets.settings import Settings
from resources.storage.warehouse import Warehouse

_LEAST_GROUNDED = 0.99
_MOST_COMPOSED = 0.15


@dg.asset_check(
    asset="recommendation_reasons",
    blocking=True,
    description="Every event that is to have a reason has exactly one, and it is not empty.",
)
def reasons_cover_their_events(settings: Settings, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Compares the table with the selection that it was to be written for."""
    profile = settings.resolve()
    splits, evidence = warehouse.read("event_splits"), warehouse.read("event_evidence")
    fold = divide_policy_fold(splits, evidence, profile)
    wanted = set(select_walk(splits, evidence, fold, profile)["event_id"])
    rows = warehouse.read("recommendation_reasons", ["event_id", "reason"])
    written = rows["event_id"].to_list()
    empty = rows.filter(pl.col("reason").str.strip_chars() == "").height
    return dg.AssetCheckResult(
        passed=set(written) == wanted and len(written) == len(wanted) and not empty,
        metadata={
            "wanted": len(wanted),
            "written": len(written),
            "missing": len(wanted - set(written)),
            "empty": empty,
            "share_of_events": len(written) / max(1, splits.height),
        },
    )


@dg.asset_check(
    asset="recommendation_reasons",
    description=f"At least {_LEAST_GROUNDED:.0%} of the stored reasons are grounded, found by "
    "checking them again.",
)
def reasons_are_grounded(settings: Settings, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Rebuilds the facts of every reason from the tables and checks its text against them."""
    rows = warehouse.read("recommendation_reasons")
    chosen = settings.resolve().explanation
    facts = facts_by_event(
        rows,
        warehouse.read("event_evidence"),
        Catalogue(warehouse.read("items")),
        chosen,
    )
    checker = GroundingChecker(chosen.max_words)
    refused = []
    for row in rows.iter_rows(named=True):
        of_event = shortened(facts[row["event_id"]].with_note(row["note"]), row["facts_left_out"])
        parsed = ParsedReason(tuple(row["cited"]), row["level"], row["why"])
        result = checker.check(parsed, of_event)
        if not result.accepted:
            refused.append(f"{row['reason']} — {', '.join(result.unsupported) or 'malformed'}")
    share = 1 - len(refused) / max(1, rows.height)
    return dg.AssetCheckResult(
        passed=share >= _LEAST_GROUNDED,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"grounded": share, "refused": dg.MetadataValue.json(refused[:5])},
    )


@dg.asset_check(
    asset="recommendation_reasons",
    description=f"At most {_MOST_COMPOSED:.0%} of the stored reasons are the composer's.",
)
def reasons_are_the_models(warehouse: Warehouse) -> dg.AssetCheckResult:
    """The composer is a last resort."""
    rows = warehouse.read("recommendation_reasons", ["source"])
    share = float((rows["source"] == "composer").sum()) / max(rows.height, 1)
    return dg.AssetCheckResult(
        passed=share <= _MOST_COMPOSED,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"composer_share": share},
    )


@dg.asset_check(
    asset="recommendation_reasons",
    blocking=True,
    description="No reason is about an event that the language model was fitted on.",
)
def reasons_avoid_fitted_events(settings: Settings, warehouse: Warehouse) -> dg.AssetCheckResult:
    """A model may remember the labels of its alignment and reinforcement events."""
    fold = divide_policy_fold(
        warehouse.read("event_splits"),
        warehouse.read("event_evidence"),
        settings.resolve(),
    )
    fitted = {*fold.alignment, *fold.reinforcement}
    rows = warehouse.read("recommendation_reasons", ["event_id"])
    stray = fitted & set(rows["event_id"])
    return dg.AssetCheckResult(passed=not stray, metadata={"stray_events": len(stray)})


@dg.asset_check(
    asset="recommendation_reasons",
    blocking=True,
    description="No reason's level is further from the evidence model's than the settings allow.",
)
def reasons_keep_to_the_evidence(settings: Settings, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Asks the evidence again: the stored level may be of another generation."""
    rows = warehouse.read("recommendation_reasons", ["event_id", "level", "reason", "verdict"])
    evidence = warehouse.read("event_evidence", ["event_id", "level"])
    judged = rows.join(evidence, on="event_id", how="left", suffix="_of_evidence")
    gap = (pl.col("level") - pl.col("level_of_evidence")).abs()
    far = judged.filter((gap > settings.resolve().reasons.max_level_gap).fill_null(True))
    other = judged.filter(~pl.col("reason").str.starts_with(pl.col("verdict")))
    return dg.AssetCheckResult(
        passed=far.is_empty() and other.is_empty(),
        metadata={
            "too_far": far.height,
            "without_its_verdict": other.height,
            "levels": dg.MetadataValue.json(
                dict(rows["level"].cast(pl.String).value_counts().sort("level").iter_rows())
            ),
        },
    )


@dg.asset_check(
    asset="recommendation_reasons",
    blocking=True,
    description="No reason is about an event without a forward probability.",
)
def reasons_have_evidence(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Where no model of earlier events exists, there is nothing to hold a reason to."""
    rows = warehouse.read("recommendation_reasons", ["event_id"])
    known = with_evidence(rows["event_id"], warehouse.read("event_evidence"))
    stray = rows.height - len(known)
    return dg.AssetCheckResult(passed=not stray, metadata={"stray_events": stray})
