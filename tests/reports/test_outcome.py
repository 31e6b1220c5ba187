"""The outcome is printed as it is, also where a metric is not defined."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from curec_assets.reports.outcome import evaluation_text
from resources.storage.manifest import Manifest
from resources.storage.warehouse import Warehouse


def test_an_undefined_metric_is_said_to_be_undefined(tmp_path: Path) -> None:
    warehouse = Warehouse(path=str(tmp_path / "warehouse.duckdb"))
    rows = [
        ("id", "all", "AUC", 0.7, 0.6, 0.8, 50, 9),
        ("id_text", "all", "AUC", None, None, None, 50, 9),
        ("id_text", "with_reason", "AUC", None, None, None, 3, 2),
    ]
    columns = ["recommender", "slice", "metric", "value", "low", "high", "n_events", "n_users"]
    manifest = Manifest(
        asset="recommender_evaluation",
        fingerprint="f",
        data_version="d",
        code_version="1",
        created_at=datetime.now(UTC),
    )
    warehouse.write("recommender_evaluation", pl.DataFrame(rows, columns, orient="row"), manifest)
    text = evaluation_text(warehouse)
    assert "0.700 [0.600, 0.800]" in text
    assert "3 of 50 test events have a reason" in text
    assert "AUC on these: undefined" in text
