"""Checks of the reasons stage."""

import dagster as dg
import polars as pl

from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.selection import divide_policy_fold
from curec_assets.reasons.selection import select_walk
from curec_assets.settings import Settings
from resources.storage.warehouse import Warehouse

_LEAST_GROUNDED = 0.95
_MOST_COMPOSED = 0.25


@dg.asset_check(
    asset="recommendation_reasons",
    blocking=True,
    description="Every event that is to have a reason has exactly one, and it is not empty.",
)
def reasons_cover_their_events(settings: Settings, warehouse: Warehouse) -> dg.AssetCheckResult:
    """Compares the table with the selection that it was to be written for."""
    profile = settings.resolve()
    splits, evidence = warehouse.read("event_splits"), warehouse.read("collaborative_evidence")
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
    catalogue = Catalogue(warehouse.read("items"))
    facts = facts_by_event(
        rows,
        warehouse.read("collaborative_evidence"),
        warehouse.read("histories", ["event_id", "item_ids", "likes"]),
        catalogue,
        settings.resolve().evidence,
    )
    checker = GroundingChecker(catalogue, settings.resolve().explanation.max_words)
    refused = []
    for row in rows.iter_rows(named=True):
        of_event = facts[row["event_id"]].with_note(row["note"])
        result = checker.check(row["reason"], of_event, row["verdict"])
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
        warehouse.read("collaborative_evidence"),
        settings.resolve(),
    )
    fitted = {*fold.alignment, *fold.reinforcement}
    rows = warehouse.read("recommendation_reasons", ["event_id"])
    stray = fitted & set(rows["event_id"])
    return dg.AssetCheckResult(passed=not stray, metadata={"stray_events": len(stray)})
