"""Policies of assets: what is tried again, and what is late."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from curec_assets.automation.lanes import FAST, INGEST
from curec_assets.automation.schedules import weekly_retrain
from curec_assets.core.asset import as_asset
from curec_assets.core.inputs import Inputs, UndeclaredRead
from curec_assets.core.recipe import table
from curec_assets.definitions import build_definitions
from curec_assets.settings import Settings
from resources.errors import ArtifactError, ConfigError, DataError, EngineError
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

FILES = """
extends = "smoke"
[data]
source = "files"
interactions_path = "interactions.csv"
items_path = "items.csv"
expected_hours = 6
"""
PASSING = [EngineError("the server is away"), MemoryError(), ConnectionError()]
REFUSALS = [
    DataError("a bad row"),
    ConfigError("a bad setting"),
    ArtifactError("a bad file"),
    UndeclaredRead("a bad recipe"),
]


def tries_until_it_ends(home: Path, error: Exception) -> tuple[int, bool, str]:
    """How often an asset is tried whose first try raises `error`; whether it succeeds; what not."""
    tries = []

    def things(inputs: Inputs) -> pl.DataFrame:
        tries.append(inputs.asset)
        if len(tries) == 1:
            raise error
        return pl.DataFrame({"key": ["a"]})

    recipe = table(group="datasets", kinds={"duckdb"}, key=("key",))(things)
    result = dg.materialize(
        [as_asset(recipe, retry_policy=dg.RetryPolicy(max_retries=1))],
        resources={
            "settings": Settings(profile="smoke"),
            "warehouse": Warehouse(path=str(home / "w.duckdb"), lock_timeout_seconds=1),
            "model_store": ModelStore(root=str(home / "models")),
        },
        raise_on_error=False,
    )
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return len(tries), result.success, "".join(each.error_display_string for each in failures)


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_may_pass_by_itself_is_tried_once_more(home: Path, error: Exception) -> None:
    assert tries_until_it_ends(home, error) == (2, True, "")


@pytest.mark.parametrize("error", REFUSALS, ids=repr)
def test_what_is_refused_is_not_tried_again(home: Path, error: Exception) -> None:
    tries, success, said = tries_until_it_ends(home, error)
    assert (tries, success) == (1, False)
    assert str(error) in said


def test_the_scheduled_run_says_why(instance: dg.DagsterInstance) -> None:
    sunday = datetime(2026, 11, 29, 3, tzinfo=UTC)
    with dg.build_schedule_context(instance, scheduled_execution_time=sunday) as context:
        [asked] = weekly_retrain.evaluate_tick(context).run_requests or []
    assert asked.tags["curec/why"] == "a new week"


def test_what_follows_your_files_is_late_without_new_data(home: Path) -> None:
    profile = home / "files.toml"
    profile.write_text(FILES, encoding="utf-8")
    assets = build_definitions(profile=str(profile), home=home).resolve_asset_graph()
    policies = {
        key.to_user_string(): assets.get(key).freshness_policy
        for key in assets.get_all_asset_keys()
        if assets.get(key).freshness_policy
    }
    assert set(policies) == {*INGEST, *FAST}
    late = dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=12), warn_window=timedelta(hours=6)
    )
    assert all(policy == late for policy in policies.values())


def test_the_embedded_data_set_is_never_late(home: Path) -> None:
    assets = build_definitions(profile="smoke", home=home).resolve_asset_graph()
    assert not any(assets.get(key).freshness_policy for key in assets.get_all_asset_keys())
