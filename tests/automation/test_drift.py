"""Drift: the figures are right, and `retrain` is asked for once a snapshot."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from curec_assets.automation.drift import Drift, drift_sensor, measured, too_far
from curec_assets.settings import DriftSettings, Settings
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse


def events(first: int, likes: list[bool], user: str = "u", item: str = "i") -> pl.DataFrame:
    count = len(likes)
    return pl.DataFrame(
        {
            "event_id": [f"e{first + number}" for number in range(count)],
            "user_id": [user] * count,
            "item_id": [item] * count,
            "liked": likes,
        }
    )


SNAPSHOT = events(0, [True] * 5 + [False] * 5)
NEW = pl.concat([events(10, [True] * 3, user="v"), events(13, [False], item="j")])
EVERYTHING = pl.concat([SNAPSHOT, NEW])


def live(probability: float, count: int) -> pl.DataFrame:
    return pl.DataFrame({"evidence_probability": [probability] * count, "liked": [True] * count})


def test_the_figures_are_of_new_events_against_the_snapshot() -> None:
    found = measured(EVERYTHING, SNAPSHOT, live(0.5, 4), 0.6, least_events=4)
    assert found is not None
    assert (found.new_events, found.new_share) == (4, 0.4)
    assert (found.like_rate, found.like_rate_shift) == (0.75, 0.25)
    assert (found.unknown_users, found.unknown_items) == (0.75, 0.25)
    assert found.log_loss == pytest.approx(math.log(2))
    assert found.log_loss_rise == pytest.approx(math.log(2) - 0.6)
    few = measured(EVERYTHING, SNAPSHOT, live(0.5, 3), 0.6, least_events=4)
    assert few is not None and few.log_loss is None and few.log_loss_rise is None
    assert measured(SNAPSHOT, SNAPSHOT, live(0.5, 0), 0.6, least_events=4) is None


def test_few_events_conclude_nothing_but_their_number() -> None:
    drift = Drift(50, 0.5, 1.0, 0.5, 1.0, 1.0, 2.0, 1.5)
    assert too_far(drift, DriftSettings()) == ["new_share 0.500 >= 0.2"]
    assert len(too_far(drift, DriftSettings(least_events=50))) == 4
    assert too_far(Drift(50, 0.1, 0.5, 0.0, 0.0, 0.0, None, None), DriftSettings()) == []


@pytest.fixture
def resources(tmp_path: Path) -> dict[str, Any]:
    store = ModelStore(root=str(tmp_path / "models"))
    with store.writing("evidence_model") as folder:
        store.commit(folder, manifest("evidence_model", test={"LogLoss": 0.6}))
    return {
        "settings": Settings(profile="smoke"),
        "warehouse": Warehouse(path=str(tmp_path / "w.duckdb")),
        "model_store": store,
    }


def manifest(name: str, version: str = "v1", **metrics: Any) -> Manifest:
    return Manifest(
        asset=name,
        fingerprint="f",
        data_version=version,
        code_version="1",
        metrics=metrics,
        created_at=datetime.now(UTC),
    )


def look(resources: dict[str, Any]) -> Any:
    return drift_sensor(dg.build_sensor_context(resources=resources))


def test_a_retraining_is_asked_for_once_a_snapshot_with_its_figures(
    resources: dict[str, Any],
) -> None:
    assert "nothing to compare yet" in look(resources).skip_message
    warehouse = resources["warehouse"]
    for name, rows in (
        ("training_snapshot", SNAPSHOT),
        ("interactions", SNAPSHOT),
        ("live_reasons", live(0.5, 0)),
    ):
        warehouse.write(name, rows, manifest(name))
    assert "no event is newer" in look(resources).skip_message
    warehouse.write("interactions", EVERYTHING, manifest("interactions", "v2"))
    first, second = look(resources), look(resources)
    assert first.run_key == second.run_key == "v1"
    assert first.tags["curec/why"] == "new_share 0.400 >= 0.2"
    assert first.tags["curec/drift.like_rate_shift"] == "0.25"
    assert "curec/drift.log_loss" not in first.tags
