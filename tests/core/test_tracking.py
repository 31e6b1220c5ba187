"""Tracking: no part of what anything is, kept on this machine, and never silently left out."""

import os
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from curec_assets.core.asset import as_asset
from curec_assets.core.inputs import Inputs, values_at
from curec_assets.core.recipe import Recipe
from curec_assets.definitions import recipes
from curec_assets.settings import Settings, load_profile
from resources.errors import ConfigError, EngineError
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse
from resources.tracking import UNTRACKED, TrackedRun
from tests.support.trackers import tensorboard_runs

ABOUT = {"asset": "things"}


def things(inputs: Inputs) -> pl.DataFrame:
    return pl.DataFrame({"item_id": ["a", "b"], "n": [1.0, 2.0]})


RECIPE = Recipe(
    things,
    "table",
    "g",
    frozenset(),
    key=("item_id",),
    tracked=lambda rows: {"n@10": rows["n"].sum(), "undefined": float("nan")},
)


def made(home: Path, instance: dg.DagsterInstance, **tracking: object) -> dg.AssetMaterialization:
    RECIPE.__dict__["code"] = {"file.py": "1"}
    result = dg.materialize(
        [as_asset(RECIPE)],
        instance=instance,
        resources={
            "settings": Settings.model_validate({"profile": "smoke", "tracking": tracking}),
            "warehouse": Warehouse(path=str(home / "w.duckdb")),
            "model_store": ModelStore(root=str(home / "models")),
        },
    )
    [event] = result.asset_materializations_for_node("things")
    return event


@pytest.fixture(autouse=True)
def no_tracker_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("MLFLOW_", "TENSORBOARD_", "TRACKIO_", "WANDB_")):
            monkeypatch.delenv(name)


def test_it_is_in_no_assets_identity() -> None:
    off = load_profile("smoke")
    on = load_profile("smoke", {"tracking": {"report_to": ["mlflow"], "project": "mine"}})
    for recipe in recipes():
        paths = recipe.setting_paths(on)
        assert paths == recipe.setting_paths(off)
        assert values_at(on, paths) == values_at(off, paths), recipe.name
        assert not any("tracking" in file for file in recipe.code), recipe.name


def test_a_result_is_reported_once_and_made_once(home: Path, instance: dg.DagsterInstance) -> None:
    folder = home / "models" / "tracking"
    first = made(home, instance)
    assert not folder.exists()
    for _ in range(2):
        event = made(home, instance, report_to=["tensorboard"])
        assert event.metadata["cached"].value
        assert event.metadata["fingerprint"] == first.metadata["fingerprint"]
    [(run, metrics)] = tensorboard_runs(folder).items()
    assert run == f"things-{first.metadata['fingerprint'].value[:12]}"
    assert metrics == {"n_10": [3.0]}
    assert len(list((folder / "tensorboard" / run).iterdir())) == 1


@pytest.mark.parametrize("name", ["wandb", "trackio"])  # neither comes with the tests
def test_a_tool_that_is_missing_stops_the_work_before_it_begins(
    home: Path, instance: dg.DagsterInstance, name: str
) -> None:
    with pytest.raises(ConfigError, match=f"report_to is '{name}'.*pip install {name}"):
        made(home, instance, report_to=[name])
    assert not Warehouse(path=str(home / "w.duckdb")).has("things")


def test_what_the_user_has_set_stands_and_all_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mine:5000")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "boards"))
    monkeypatch.setenv("WANDB_MODE", "online")
    before = dict(os.environ)
    run = TrackedRun(("mlflow", "tensorboard", "wandb", "trackio"), "p", tmp_path / "t", "r")
    with run.environment():
        assert os.environ["MLFLOW_TRACKING_URI"] == "http://mine:5000"
        assert os.environ["MLFLOW_EXPERIMENT_NAME"] == "p"
        assert os.environ["TENSORBOARD_LOGGING_DIR"] == str(tmp_path / "boards" / "r")
        assert os.environ["WANDB_MODE"] == "online"
        assert os.environ["WANDB_DIR"] == str(tmp_path / "t" / "wandb")
        assert os.environ["TRACKIO_DIR"] == str(tmp_path / "t" / "trackio")
        os.environ["MLFLOW_EXPERIMENT_ID"] = "7"  # as MLflow itself does
    assert dict(os.environ) == before


def test_a_tool_that_fails_is_named_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrackedRun(("tensorboard",), "p", tmp_path, "r")
    (tmp_path / "a file").touch()
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "a file"))
    with pytest.raises(EngineError, match="tensorboard did not take the numbers of r"):
        run.report(lambda: {"n": 1.0}, ABOUT)
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR")
    run.report(lambda: {"n": 1.0}, ABOUT)
    assert tensorboard_runs(tmp_path)["r"] == {"n": [1.0]}


def test_none_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with UNTRACKED.environment():
        UNTRACKED.report(lambda: {"n": 1.0}, ABOUT)
    assert UNTRACKED.trainer_arguments() == {"report_to": []}
    assert not list(tmp_path.iterdir())
