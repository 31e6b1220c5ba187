"""The assets that read a source, as Dagster runs them, into a home."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.core.asset import as_asset
from curec_assets.datasets import assets
from curec_assets.datasets.ledger import current_events
from curec_assets.settings import Settings
from resources.models.downloads import Downloads
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_ASSETS = [as_asset(each) for each in (assets.events, assets.raw_items)]


def ingest(
    home: Path, instance: dg.DagsterInstance | None = None, **data: Any
) -> dg.ExecuteInProcessResult:
    """One run; `data`: that section of the settings."""
    return dg.materialize(
        _ASSETS,
        instance=instance,
        resources={
            "settings": Settings(profile="smoke", data=data),
            "warehouse": Warehouse(path=str(home / "warehouse.duckdb")),
            "downloads": Downloads(cache_dir=str(home / "downloads")),
            "model_store": ModelStore(root=str(home / "models")),
        },
        raise_on_error=False,
    )


def cause(result: dg.ExecuteInProcessResult) -> str:
    """Why the first step of a run failed."""
    failure = next(event for event in result.all_events if event.is_step_failure)
    error = failure.step_failure_data.error
    assert error is not None and error.cause is not None
    return error.cause.message


def stored(home: Path) -> pl.DataFrame:
    """The events that a home knows."""
    return current_events(Warehouse(path=str(home / "warehouse.duckdb")).read("events"))
