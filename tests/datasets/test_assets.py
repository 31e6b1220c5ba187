"""The stage as Dagster runs it, on the toy set: everything passes, and twice means no work."""

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from curec_assets.cli import main
from curec_assets.core.asset import as_asset
from curec_assets.datasets import assets, checks, schema
from curec_assets.settings import Settings
from resources.models.downloads import Downloads
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

ASSETS = [as_asset(recipe) for recipe in assets.RECIPES]
CHECKS = dg.load_asset_checks_from_modules([checks])


def run(home: Path, **overrides: Any) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [*ASSETS, *CHECKS],
        resources={
            "settings": Settings(profile="smoke", **overrides),
            "warehouse": Warehouse(path=str(home / "warehouse.duckdb")),
            "downloads": Downloads(cache_dir=str(home / "cache")),
            "model_store": ModelStore(root=str(home / "models")),
        },
        raise_on_error=False,
    )


def recorded(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    return {
        event.materialization.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


@pytest.fixture(scope="module")
def first_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first")


@pytest.fixture(scope="module")
def first(first_home: Path) -> dg.ExecuteInProcessResult:
    return run(first_home)


@pytest.fixture
def again(first: dg.ExecuteInProcessResult, first_home: Path, tmp_path: Path) -> Path:
    """A home in which everything was materialised once."""
    return Path(shutil.copytree(first_home, tmp_path / "again"))


def test_all_checks_pass_and_tables_have_their_columns(
    first: dg.ExecuteInProcessResult, first_home: Path
) -> None:
    evaluations = first.get_asset_check_evaluations()
    assert first.success and len(evaluations) == 10
    assert [check.check_name for check in evaluations if not check.passed] == []
    warehouse = Warehouse(path=str(first_home / "warehouse.duckdb"))
    tables = {
        "raw_interactions": schema.RAW_INTERACTIONS,
        "quarantine": schema.QUARANTINE,
        "raw_items": schema.RAW_ITEMS,
        "items": schema.ITEMS,
        "interactions": schema.INTERACTIONS,
        "training_snapshot": schema.INTERACTIONS,
        "event_splits": schema.EVENT_SPLITS,
        "histories": schema.HISTORIES,
    }
    for name, columns in tables.items():
        assert warehouse.read(name).schema == columns, name


def test_a_second_run_does_no_work(first: dg.ExecuteInProcessResult, again: Path) -> None:
    before, after = recorded(first), recorded(run(again))
    assert not any(metadata["cached"] for metadata in before.values())
    assert all(metadata["cached"] for metadata in after.values())
    for name in before:
        assert before[name]["fingerprint"] == after[name]["fingerprint"]
        assert before[name]["manifest"]["data_version"] == after[name]["manifest"]["data_version"]


def test_a_setting_redoes_only_what_depends_on_it(again: Path) -> None:
    after = recorded(run(again, data={"max_history": 3}))
    assert [name for name, metadata in after.items() if not metadata["cached"]] == ["histories"]


def files(home: Path, events: pl.DataFrame, **data: Any) -> dict[str, Any]:
    """The settings of a source of two files in `home`."""
    events.write_csv(home / "events.csv")
    pl.DataFrame({"item_id": ["a", "b"], "title": ["A", None]}).write_csv(home / "items.csv")
    paths = {f"{name}_path": str(home / file) for name, file in FILES.items()}
    return {"source": "files", **paths, **data}


FILES = {"interactions": "events.csv", "items": "items.csv"}
EVENTS = pl.DataFrame(
    {
        "user_id": ["u", "v", "u", "v", "w"],
        "item_id": ["a", "b", "b", "ghost", "a"],
        "rating": [1, 2, 3, 4, 5],
        "timestamp": [1_700_000_000 + number for number in range(5)],
    }
)
MANY = pl.concat([EVENTS.with_columns(pl.col("timestamp") + 10 * n) for n in range(20)])


def test_unknown_items_are_left_out_counted_and_shown(home: Path) -> None:
    found = recorded(run(home, data=files(home, EVENTS)))["interactions"]
    assert (found["left_out_unknown_item"], found["unknown_items"]) == (1, "ghost")
    assert found["dagster/row_count"] == 4


def test_a_bad_row_is_left_out_warned_of_and_listed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = MANY.with_columns(
        rating=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("?")).otherwise("rating")
    )
    result = run(home, data=files(home, broken))
    assert recorded(result)["raw_interactions"]["dagster/row_count"] == 99
    assert recorded(result)["quarantine"]["rows_left_out"] == 1
    [check] = [c for c in result.get_asset_check_evaluations() if not c.passed]
    assert check.check_name == "nothing_in_quarantine"
    assert check.severity == dg.AssetCheckSeverity.WARN
    monkeypatch.setenv("CUREC_HOME", str(home))
    assert main(["quarantine"]) == 0
    said = capsys.readouterr().out
    assert "1 rows were left out" in said
    assert "events.csv    8  rating" in said
    run(home, data=files(home, MANY))
    assert main(["quarantine"]) == 0
    assert "Nothing is in quarantine" in capsys.readouterr().out


def test_a_half_copied_file_is_refused_and_what_was_stored_stays(home: Path) -> None:
    def stored() -> pl.DataFrame:
        return Warehouse(path=str(home / "warehouse.duckdb")).read("raw_interactions")

    assert run(home, data=files(home, MANY)).success
    before = stored()
    half = run(home, data=files(home, MANY.head(50)))
    assert not half.success
    [failure] = [event for event in half.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert error is not None and error.cause is not None
    for part in ("lack 50 of the 100 known", "data.most_lost_share = 0.1", "Copy the file again"):
        assert part in error.cause.message
    assert stored().equals(before)
    assert run(home, data=files(home, MANY.tail(95))).success
    assert stored().height == 95
    assert run(home, data=files(home, MANY.head(50), most_lost_share=1)).success
    assert stored().height == 50
