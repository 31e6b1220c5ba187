"""The asset `quality_report`: what it reads, depends on and writes, and how it is made."""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import artifact

_TABLES = (
    "event_splits",
    "recommendation_reasons",
    "recommender_evaluation",
    "recommendations",
)
_MODELS = (
    "reward_model",
    "reason_policy",
    "baseline_recommenders",
    "recommender",
    "recommender_ranking",
)


@artifact(
    group="recommender",
    kinds={"html"},
    tables=_TABLES,
    artifacts=_MODELS,
    settings=("name", "evidence.level_cuts", "recommender.bootstrap_samples", "seed"),
    lineage=True,
    files=(Path(__file__).with_name("quality.html.j2"),),
    describe=lambda stored, _: {"report": stored.path / "report.html"},
    tracked=lambda stored: stored.manifest.metrics.get("quality", {}),
)
def quality_report(inputs: Inputs) -> Mapping[str, Any]:
    """One HTML page: evaluation, gate, reward curve, reasons, recommendations, lineage."""
    from curec_assets.evaluation.reason_quality import reason_quality
    from curec_assets.reports.quality import Report, render
    from curec_assets.reward.gate import stored_gate

    profile = inputs.settings
    lineage = {name: inputs.manifest(name) for name in (*_TABLES, *_MODELS)}
    events = inputs.table("event_splits", ["event_id", "split", "liked"])
    reasons = inputs.table("recommendation_reasons")
    covered = events.join(reasons.select("event_id"), on="event_id", how="semi")
    quality = reason_quality(
        reasons,
        events.select("event_id", "liked"),
        level_cuts=profile.evidence.level_cuts,
        samples=profile.recommender.bootstrap_samples,
        seed=profile.seed,
    )
    page = Report(
        profile=profile.name,
        evaluation=inputs.table("recommender_evaluation"),
        gate=stored_gate(lineage["reward_model"]),
        reward_curve=lineage["reason_policy"].metrics["reward"],
        quality=quality,
        coverage={
            split: (covered.filter(split=split).height, events.filter(split=split).height)
            for split in ("train", "validation", "test")
        },
        recommendations=inputs.table("recommendations"),
        lineage=pl.DataFrame(
            [
                m.model_dump(include={"asset", "fingerprint", "data_version", "code_version"})
                for m in lineage.values()
            ]
        ),
    )
    (inputs.output() / "report.html").write_text(render(page), encoding="utf-8")
    return {
        "reasons": reasons.height,
        "quality": {
            measured.name: None if isnan(measured.interval.value) else measured.interval.value
            for measured in quality
        },
    }


RECIPES = (quality_report,)
