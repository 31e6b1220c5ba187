"""Checks of the group `recommender`."""

import dagster as dg
import polars as pl

from curec_assets.display.tables import markdown_table
from curec_assets.recommender.output_checks import (
    misplaced_intervals,
    prediction_problems,
    recommendation_problems,
)
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse


@dg.asset_check(
    asset="recommender",
    additional_deps=["serving_snapshot"],
    blocking=True,
    description="Every variant and seed has one finite probability in [0, 1] for every validation "
    "and test event.",
)
def predictions_complete(warehouse: Warehouse, model_store: ModelStore) -> dg.AssetCheckResult:
    """One valid prediction per event, variant and seed."""
    predictions = pl.read_parquet(model_store.current("recommender").path / "predictions.parquet")
    events = warehouse.read("serving_snapshot", ["event_id", "split"])
    problems = prediction_problems(predictions, events.filter(pl.col("split") != "train"))
    return dg.AssetCheckResult(
        passed=not problems,
        description="; ".join(problems) or None,
        metadata={"predictions": predictions.height},
    )


@dg.asset_check(
    asset="recommender_evaluation",
    blocking=True,
    description="Every interval contains its value, and a value is null only with its interval.",
)
def intervals_contain_values(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Low ≤ value ≤ high."""
    wrong = misplaced_intervals(warehouse.read("recommender_evaluation"))
    return dg.AssetCheckResult(
        passed=wrong.is_empty(),
        metadata={"wrong": dg.MetadataValue.md(markdown_table(wrong))},
    )


@dg.asset_check(
    asset="recommender_evaluation",
    description="Reasons do no harm: the paired interval of AUC(id_text_reason) - AUC(id_text) on "
    "all test events is not wholly below 0.",
)
def reasons_do_no_harm(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Warns when reasons make the recommender surely worse."""
    row = warehouse.query(
        "SELECT value, low, high FROM recommender_evaluation WHERE metric = 'AUC' "
        "AND slice = 'all' AND recommender = 'id_text_reason - id_text'"
    ).to_dicts()
    high = row[0]["high"] if row else None
    return dg.AssetCheckResult(
        passed=high is None or high >= 0.0,
        severity=dg.AssetCheckSeverity.WARN,
        description="the difference is undefined: too few events" if high is None else None,
        metadata=dict(row[0]) if row and high is not None else {},
    )


@dg.asset_check(
    asset="recommendations",
    additional_deps=["interactions"],
    blocking=True,
    description="Nobody is recommended what they have seen, or the same item twice; ranks are "
    "1, 2, 3, ... for each user.",
)
def recommendations_new_and_ranked(warehouse: Warehouse) -> dg.AssetCheckResult:
    """No seen item, no repeated item, ranks without gaps."""
    shown = warehouse.read("recommendations", ["user_id", "rank", "item_id"])
    problems = recommendation_problems(
        shown, warehouse.read("interactions", ["user_id", "item_id", "rating"])
    )
    return dg.AssetCheckResult(
        passed=not problems,
        description="; ".join(problems) or None,
        metadata={"recommendations": shown.height, "users": shown["user_id"].n_unique()},
    )
