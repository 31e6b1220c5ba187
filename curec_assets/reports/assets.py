"""The asset `quality_report`; the only door to Dagster of this room."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.core import materialize
from curec_assets.settings import Settings
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse


@dg.asset(
    group_name="recommender",
    kinds={"html"},
    owners=["team:curec"],
    pool="warehouse",
    code_version="1",
    deps=[
        "recommender_evaluation",
        "recommendations",
        "recommendation_reasons",
        "reward_model",
        "reason_policy",
        "event_splits",
    ],
)
def quality_report(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
) -> dg.MaterializeResult[None]:
    """One HTML page: evaluation, gate, reward curve, reasons, recommendations, lineage."""
    profile = settings.resolve()
    lineage = {manifest.asset: manifest for manifest in _lineage(warehouse, model_store)}

    def build(folder: Path, _workspace: Path) -> Mapping[str, Any]:
        from curec_assets.evaluation.reason_quality import reason_quality
        from curec_assets.reports.quality import Report, render
        from curec_assets.reward.gate import stored_gate

        events = warehouse.read("event_splits", ["event_id", "split", "liked"])
        reasons = warehouse.read("recommendation_reasons")
        covered = events.join(reasons.select("event_id"), on="event_id", how="semi")
        page = Report(
            profile=profile.name,
            evaluation=warehouse.read("recommender_evaluation"),
            gate=stored_gate(lineage["reward_model"]),
            reward_curve=lineage["reason_policy"].metrics["reward"],
            quality=reason_quality(
                reasons,
                events.select("event_id", "liked"),
                samples=profile.recommender.bootstrap_samples,
                seed=profile.seed,
            ),
            coverage={
                split: (covered.filter(split=split).height, events.filter(split=split).height)
                for split in ("train", "validation", "test")
            },
            recommendations=warehouse.read("recommendations"),
            lineage=pl.DataFrame(
                [
                    m.model_dump(include={"asset", "fingerprint", "data_version", "code_version"})
                    for m in lineage.values()
                ]
            ),
        )
        (folder / "report.html").write_text(render(page), encoding="utf-8")
        return {"reasons": reasons.height}

    return materialize.artifact(
        context,
        model_store,
        config={
            "profile": profile.name,
            "bootstrap_samples": profile.recommender.bootstrap_samples,
            "seed": profile.seed,
        },
        inputs={name: f"{m.fingerprint} {m.data_version}" for name, m in lineage.items()},
        build=build,
        describe=lambda stored: {
            "report": dg.MetadataValue.path(stored.path / "report.html"),
        },
    )


_REPORTED_TABLES = (
    "event_splits",
    "recommendation_reasons",
    "recommender_evaluation",
    "recommendations",
)
_REPORTED_MODELS = ("reward_model", "reason_policy", "baseline_recommenders", "recommender")


def _lineage(warehouse: Warehouse, store: ModelStore) -> Iterator[Manifest]:
    for table in _REPORTED_TABLES:
        warehouse.data_version(table)  # says which one is missing
        manifest = warehouse.manifest(table)
        if manifest is not None:
            yield manifest
    for model in _REPORTED_MODELS:
        yield store.current(model).manifest
