from datetime import UTC, datetime
from types import SimpleNamespace

import dagster as dg
import polars as pl
import pytest

from curec_assets.evaluation.bootstrap import Interval
from curec_assets.policy.assets import reason_policy
from curec_assets.reward.checks import drafts_in_their_fold, reward_gate, reward_losses_finite
from curec_assets.reward.gate import Gate, ReaderGate
from curec_assets.settings import Settings, load_profile
from resources.errors import ArtifactError
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

EPOCH = {"train": 0.6, "shuffled": 0.0, "held_out": 0.6}


def gate(difference: float) -> Gate:
    around = Interval(difference, difference - 0.01, difference + 0.01)
    of_reader = ReaderGate(
        Interval(0.7, 0.6, 0.8),
        Interval(0.6, 0.5, 0.7),
        Interval(0.6, 0.5, 0.7),
        around,
        around,
        around,
        n_events=40,
        n_liked=20,
        n_users=30,
        unit="users",
    )
    return Gate(of_reader, of_reader)


def store_model(home, difference=0.1, epochs=(EPOCH,)):
    store = ModelStore(root=str(home / "models"))
    with store.writing("reward_model") as folder:
        manifest = Manifest(
            asset="reward_model",
            fingerprint="f" * 16,
            data_version="d" * 16,
            code_version="1",
            metrics={"gate": gate(difference).to_json(), "epochs": list(epochs)},
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        store.commit(folder, manifest)
    return store


def run_with_gate(home, *, difference, gate_blocks):
    """A run of the gate between the model and what reads it."""

    @dg.asset
    def reward_model():
        return dg.MaterializeResult()

    @dg.asset(deps=[reward_model])
    def reason_policy():
        return dg.MaterializeResult()

    settings = Settings(profile="smoke", **{"reward": {"gate_blocks": gate_blocks}})
    result = dg.materialize(
        [reward_model, reason_policy, reward_gate],
        resources={"settings": settings, "model_store": store_model(home, difference)},
        raise_on_error=False,
    )
    made = {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}
    (check,) = result.get_asset_check_evaluations()
    return SimpleNamespace(success=result.success, made=made, check=check)


def test_a_failed_gate_is_an_error_and_reinforcement_refuses_by_itself(home):
    run = run_with_gate(home, difference=-0.1, gate_blocks=True)
    assert (run.check.passed, run.check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "FAILED on 40 validation events" in run.check.description
    inputs = SimpleNamespace(artifact=ModelStore(root=str(home / "models")).current)
    inputs.settings = load_profile("smoke", {"reward": {"gate_blocks": True}})
    with pytest.raises(ArtifactError, match="FAILED on 40 validation events"):
        reason_policy.guard(inputs)
    inputs.settings = load_profile("smoke", {"reward": {"gate_blocks": False}})
    reason_policy.guard(inputs)


def test_where_gates_do_not_block_a_failed_gate_warns(home):
    run = run_with_gate(home, difference=-0.1, gate_blocks=False)
    assert run.success
    assert run.made == {"reward_model", "reason_policy"}
    assert (run.check.passed, run.check.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_a_passed_gate_lets_through(home):
    run = run_with_gate(home, difference=0.1, gate_blocks=True)
    assert run.success
    assert run.check.passed


@pytest.mark.parametrize(
    ("epochs", "passed"),
    [([EPOCH], True), ([EPOCH, {**EPOCH, "held_out": float("nan")}], False), ([], False)],
)
def test_losses_must_be_numbers(home, epochs, passed):
    result = reward_losses_finite(model_store=store_model(home, epochs=epochs))
    assert result.passed is passed
    if epochs and not passed:
        assert "epoch 2: held_out" in result.description


@pytest.mark.parametrize(
    ("drafted", "passed"),
    [(["fit", "gate"], True), (["fit", "rl"], False), (["test"], False), (["gone"], False)],
)
def test_drafts_belong_to_the_reward_fold_or_validation(home, drafted, passed):
    warehouse = Warehouse(path=str(home / "w.duckdb"))
    tables = {
        "event_splits": pl.DataFrame(
            {
                "event_id": ["fit", "rl", "gate", "test"],
                "split": ["train", "train", "validation", "test"],
                "fold": ["reward", "policy", None, None],
            }
        ),
        "draft_reasons": pl.DataFrame({"event_id": drafted}),
    }
    for name, frame in tables.items():
        manifest = Manifest(
            asset=name,
            fingerprint="f",
            data_version="d",
            code_version="1",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        warehouse.write(name, frame, manifest)
    result = drafts_in_their_fold(warehouse=warehouse)
    assert result.passed is passed
