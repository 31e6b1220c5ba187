"""Metadata worth looking at: curves, coverage and the evaluation as pictures and tables."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from curec_assets.display.charts import interval_chart, line_chart, reliability_chart
from curec_assets.display.tables import markdown_table
from resources.storage.model_store import Artifact


def describe_baselines(stored: Artifact) -> Mapping[str, Any]:
    """EASE's validation curve and what was chosen."""
    metrics = stored.manifest.metrics
    curve = pl.DataFrame(
        {
            "EASE L2": list(metrics["validation_ndcg"]),
            "validation NDCG@10": list(metrics["validation_ndcg"].values()),
        }
    )
    return {
        "ease": markdown_table(curve),
        "l2": metrics["l2"],
        "items_known_to_ease": metrics["items_known_to_ease"],
    }


def describe_recommender(stored: Artifact) -> Mapping[str, Any]:
    """Training curves, each part's validation AUC and weight, reliability, reason coverage."""
    metrics = stored.manifest.metrics
    curves: Mapping[str, Mapping[str, Any]] = metrics["curves"]
    losses = line_chart(
        {name: curve["loss"] for name, curve in curves.items() if name.endswith("-0")},
        title="Training loss of the networks, first seed",
        x_label="epoch",
        y_label="nats per event",
    )
    parts = pl.DataFrame(
        {
            "part": list(metrics["validation"]),
            "validation AUC": list(metrics["validation"].values()),
            "weight in whole": [metrics["blend"].get(name) for name in metrics["validation"]],
        }
    )
    return {
        "losses": losses,
        "parts": markdown_table(parts, limit=100),
        "reliability": reliability_chart(
            {"validation": metrics["reliability"]}, title="whole: predicted and true share of likes"
        ),
        "events_with_reason": metrics["events_with_reason"],
    }


def describe_ranking(stored: Artifact) -> Mapping[str, Any]:
    """Validation's judgement of both rankers, and what counts most in the one that serves."""
    metrics = stored.manifest.metrics
    quality: Mapping[str, Mapping[str, float]] = metrics["validation"]
    tried = pl.DataFrame(
        {
            "ranker": list(quality),
            "validation HR@10": [each["hit"] for each in quality.values()],
            "validation NDCG@10": [each["ndcg"] for each in quality.values()],
        }
    )
    weights: Mapping[str, float] = metrics["weights"]
    features = pl.DataFrame({"feature": list(weights), "weight": list(weights.values())})
    return {
        "rankers": markdown_table(tried),
        "features": markdown_table(features.sort("weight", descending=True), limit=15),
        "serves": metrics["model"],
        "likes_proposed": metrics["proposed"],
    }


def describe_evaluation(rows: pl.DataFrame) -> Mapping[str, Any]:
    """AUC as bars, and the slice of all events as a table; reason coverage as a number."""
    everything = rows.filter(pl.col("slice") == "all")
    levels = everything.filter(
        (pl.col("metric") == "AUC") & ~pl.col("recommender").str.contains(" - ", literal=True)
    ).drop_nulls("value")
    bars = {r["recommender"]: (r["value"], r["low"], r["high"]) for r in levels.to_dicts()}
    covered = rows.filter((pl.col("slice") == "with_reason") & (pl.col("metric") == "AUC"))
    counts: list[int] = covered["n_events"].to_list()
    return {
        "auc": interval_chart(bars, title="AUC on test events", y_label="AUC"),
        "all_test_events": markdown_table(everything.drop("slice"), limit=100),
        "test_events_with_reason": max(counts, default=0),
    }


def tracked_evaluation(rows: pl.DataFrame) -> Mapping[str, float]:
    """Metric/slice/recommender → value, and the ends of its interval as `metric_low`, `_high`."""
    return {
        f"{row['metric']}{suffix}/{row['slice']}/{row['recommender'].replace(' - ', '_minus_')}": (
            row[column]
        )
        for row in rows.drop_nulls("value").iter_rows(named=True)
        for suffix, column in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
