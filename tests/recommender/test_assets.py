"""The assets over a small warehouse: what they store, cache and refuse."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from curec_assets.core.asset import as_asset
from curec_assets.core.provenance import content_hash
from curec_assets.evaluation.bootstrap import Interval
from curec_assets.evidence.schema import FACT
from curec_assets.recommender import assets, checks
from curec_assets.reports.assets import quality_report
from curec_assets.reward.gate import Gate, ReaderGate
from curec_assets.settings import Settings
from resources.compute.accelerator import Accelerator
from resources.errors import ArtifactError
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse
from tests.recommender.conftest import Problem
from tests.support.trackers import mlflow_runs, tensorboard_runs

_RECIPES = [
    assets.baseline_recommenders,
    assets.recommender,
    assets.recommender_ranking,
    assets.recommender_evaluation,
    quality_report,
]
_ASSETS = [as_asset(recipe) for recipe in _RECIPES]
_TABLES = ("items", "item_embeddings", "reason_embeddings", "serving_evidence")


def _store_table(warehouse: Warehouse, name: str, rows: pl.DataFrame) -> None:
    version = content_hash(rows, key=rows.columns[:1])
    warehouse.write(name, rows, _manifest(name, version))


def _manifest(name: str, version: str, **metrics: Any) -> Manifest:
    return Manifest(
        asset=name,
        fingerprint=f"f-{name}",
        data_version=version,
        code_version="1",
        metrics=metrics,
        created_at=datetime.now(UTC),
    )


@pytest.fixture
def resources(tmp_path: Path, reason_problem: Problem) -> dict[str, Any]:
    """A warehouse and a model store with all that comes before this stage."""
    inputs, _ = reason_problem
    warehouse = Warehouse(path=str(tmp_path / "warehouse.duckdb"))
    store = ModelStore(root=str(tmp_path / "models"))
    _store_table(warehouse, "event_splits", inputs.events)
    _store_table(warehouse, "serving_snapshot", inputs.events)
    _store_table(warehouse, "interactions", inputs.events.drop("split"))
    for name in _TABLES:
        _store_table(warehouse, name, getattr(inputs, name))
    reason = {
        "reason": "You are very likely to like it. It is widely liked.",
        "verdict": "You are very likely to like it.",
        "why": "It is widely liked.",
        "level": 8,
        "evidence_level": 8,
        "grounded": True,
        "first_grounded": True,
        "source": "policy",
        "note": "as strict as the crowd; likes none more; likes none less",
        "evidence_probability": 0.8,
    }
    facts = pl.lit([], dtype=pl.List(FACT))
    reasons = (
        inputs.events[:40]
        .select("event_id", "user_id", "split")
        .with_columns(
            **{name: pl.lit(value) for name, value in reason.items()},
            facts=facts,
            uncited=pl.lit([], dtype=pl.List(pl.Float64)),
        )
    )
    _store_table(warehouse, "recommendation_reasons", reasons)
    shown = pl.DataFrame([{"user_id": "new", "rank": 1, "item_id": "i1", "title": "One"} | reason])
    _store_table(warehouse, "recommendations", shown.with_columns(score=pl.lit(0.5), facts=facts))
    unsure = Interval(0.5, 0.4, 0.6)
    of_reader = ReaderGate(unsure, unsure, unsure, unsure, unsure, unsure, 12, 5, 4, "users")
    gate = Gate(of_reader, of_reader).to_json()
    for manifest in (
        _manifest("reward_model", "v", gate=gate),
        _manifest("reason_policy", "v", reward=[0.1, 0.2]),
    ):
        with store.writing(manifest.asset) as folder:
            store.commit(folder, manifest)
    return {
        "settings": Settings(profile="smoke"),
        "warehouse": warehouse,
        "model_store": store,
        "accelerator": Accelerator(device="cpu"),
    }


def _run(resources: dict[str, Any], instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    loaded = dg.load_asset_checks_from_modules([checks])
    # Definitions, not materialize(): the check of `recommendations` has no asset of ours here.
    definitions = dg.Definitions(
        assets=[*_ASSETS, *(dg.AssetSpec(n) for n in ("recommendations", "interactions"))],
        asset_checks=loaded,
        resources=resources,
        jobs=[dg.define_asset_job("stage", selection=dg.AssetSelection.assets(*_ASSETS))],
    )
    return definitions.resolve_job_def("stage").execute_in_process(instance=instance)


def _metadata(result: dg.ExecuteInProcessResult, asset: str, name: str) -> Any:
    (event,) = result.asset_materializations_for_node(asset)
    return event.metadata[name].value


# MLflow's own, of SQLAlchemy.
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_the_stage_runs_is_checked_and_is_cached_the_second_time(
    resources: dict[str, Any], instance: dg.DagsterInstance
) -> None:
    first = _run(resources, instance)
    chosen = {"profile": "smoke", "tracking": {"report_to": ["mlflow", "tensorboard"]}}
    second = _run(resources | {"settings": Settings.model_validate(chosen)}, instance)
    assert first.success
    evaluations = first.get_asset_check_evaluations()
    assert {e.check_name for e in evaluations} >= {"predictions_complete", "reasons_do_no_harm"}
    assert all(evaluation.passed for evaluation in evaluations)
    for asset in (a.key.path[-1] for a in _ASSETS):
        assert not _metadata(first, asset, "cached")
        assert _metadata(second, asset, "cached")
        versions = [_metadata(run, asset, "manifest")["data_version"] for run in (first, second)]
        assert versions[0] == versions[1]
    report = Path(_metadata(first, "quality_report", "report"))
    assert "id_text_reason" in report.read_text(encoding="utf-8")
    rows = resources["warehouse"].read("recommender_evaluation")
    assert rows.select("recommender", "slice", "metric").is_unique().all()
    _require_tracked(rows.drop_nulls("value"), Path(resources["model_store"].root) / "tracking")


def _require_tracked(rows: pl.DataFrame, folder: Path) -> None:
    """The evaluation is in both trackers, by their own readers, each number with its interval."""
    for runs in (mlflow_runs(folder), tensorboard_runs(folder)):
        by_asset = {name.rpartition("-")[0]: metrics for name, metrics in runs.items()}
        assert set(by_asset) == {"recommender_evaluation", "quality_report"}
        assert by_asset["quality_report"]["grounded"] == [1.0]
        numbers = by_asset["recommender_evaluation"]
        assert len(numbers) == 3 * rows.height
        for recommender, metric, named, measure in (
            ("whole", "AUC", "whole", "AUC"),
            ("lambdamart - ease", "HR@10", "lambdamart_minus_ease", "HR_10"),
        ):
            [row] = rows.filter(recommender=recommender, slice="all", metric=metric).to_dicts()
            for column, end in (("value", ""), ("low", "_low"), ("high", "_high")):
                found = numbers[f"{measure}{end}/all/{named}"]
                assert found == [pytest.approx(row[column], rel=1e-5)]


@pytest.mark.parametrize(
    ("setting", "value", "again"),
    [
        ("bootstrap_samples", 60, {"recommender_evaluation"}),
        ("top_k", 2, set()),
        ("dim", 4, {"recommender", "recommender_evaluation"}),
    ],
)
def test_only_what_reads_a_setting_is_made_again(
    resources: dict[str, Any],
    instance: dg.DagsterInstance,
    setting: str,
    value: int,
    again: set[str],
) -> None:
    _run(resources, instance)
    settings = {"profile": "smoke", "recommender": {setting: value}}
    changed = _run(resources | {"settings": Settings.model_validate(settings)}, instance)
    made = {
        name for name in (a.key.path[-1] for a in _ASSETS) if not _metadata(changed, name, "cached")
    }
    assert made - {"quality_report"} == again


def test_new_events_train_nothing_again(
    resources: dict[str, Any], instance: dg.DagsterInstance
) -> None:
    _run(resources, instance)
    interactions = resources["warehouse"].read("interactions")
    new = interactions.head(3).with_columns(pl.col("event_id") + " of tomorrow")
    _store_table(resources["warehouse"], "interactions", pl.concat([new, interactions]))
    again = _run(resources, instance)
    for name in (asset.key.path[-1] for asset in _ASSETS):
        assert _metadata(again, name, "cached"), name


def test_an_evaluation_of_models_from_other_data_is_refused(
    resources: dict[str, Any], instance: dg.DagsterInstance
) -> None:
    _run(resources, instance)
    splits = resources["warehouse"].read("serving_snapshot")
    _store_table(resources["warehouse"], "serving_snapshot", splits[:-1])
    with pytest.raises(ArtifactError, match=r"'recommender' .* was made from 'serving_snapshot'"):
        dg.materialize(
            [as_asset(assets.recommender_evaluation)],
            resources=resources,
            instance=instance,
        )
