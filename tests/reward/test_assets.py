"""The asset `reward_model`, made for real from a small planted warehouse."""

import shutil
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from curec_assets.core.asset import as_asset
from curec_assets.datasets.schema import ITEMS
from curec_assets.evidence.schema import EVENT_EVIDENCE
from curec_assets.reward.assets import reward_model
from curec_assets.reward.checks import reward_gate, reward_losses_finite
from curec_assets.settings import Settings
from resources.compute.accelerator import Accelerator
from resources.errors import ArtifactError, DataError
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse


@pytest.fixture
def words(word_encoder):
    """The planted worlds' encoder, with the revision that the asset asks for."""

    class Words(type(word_encoder)):
        revision_of_words = "1"

        def revision(self, source: str) -> str:
            return f"{source}@{self.revision_of_words}"

    return Words()


@pytest.fixture
def house(home, small_world, words):
    return House(home, small_world, words)


class House:
    """A warehouse and a model store, and runs of the asset on them."""

    def __init__(self, home, world, encoder):
        self.warehouse = Warehouse(path=str(home / "warehouse.duckdb"))
        self.store = ModelStore(root=str(home / "models"))
        self.encoder = encoder
        events = world.event_splits.with_row_index("timestamp").with_columns(
            pl.col("timestamp").cast(pl.Int64), rating=pl.lit(1.0)
        )
        self.put("event_splits", events)
        self.put("draft_reasons", world.drafts)
        self.put("event_evidence", pl.DataFrame(schema=EVENT_EVIDENCE))
        self.put("items", pl.DataFrame(schema=ITEMS))

    def put(self, name: str, frame: pl.DataFrame) -> None:
        manifest = Manifest(
            asset=name,
            fingerprint="f",
            data_version="d",
            code_version="1",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        self.warehouse.write(name, frame, manifest)

    def run(self, **reward):
        """Metadata and data version of one materialisation, with its checks."""
        chosen = {"epochs": 1, "dim": 4, **reward}
        result = dg.materialize(
            [as_asset(reward_model), reward_gate, reward_losses_finite],
            resources={
                "settings": Settings(profile="smoke", **{"reward": chosen}),
                "warehouse": self.warehouse,
                "model_store": self.store,
                "text_encoder": self.encoder,
                "accelerator": Accelerator(device="cpu"),
            },
        )
        assert result.success
        (event,) = result.asset_materializations_for_node("reward_model")
        return {name: value.value for name, value in event.metadata.items()}


def test_it_records_losses_aucs_and_the_gate(house):
    metadata = house.run()
    assert metadata["cached"] is False
    assert metadata["losses"].startswith("![")
    assert metadata["aucs"].startswith("![")
    assert "AUC with the reason" in metadata["gate"]
    assert house.store.current("reward_model").manifest.fingerprint == metadata["fingerprint"]


def test_repeated_it_is_cached_with_the_same_version(house):
    first, second = house.run(), house.run()
    assert second["cached"] is True
    assert second["fingerprint"] == first["fingerprint"]
    assert second["gate"] == first["gate"]


def test_made_again_from_nothing_its_content_is_the_same(house):
    first = house.run()
    shutil.rmtree(house.store.current("reward_model").path)
    second = house.run()
    assert second["cached"] is False
    assert second["manifest"]["data_version"] == first["manifest"]["data_version"]


def test_what_does_not_concern_the_model_does_not_change_it(house):
    first = house.run()
    of_another_fold(house, timestamp=10**9)
    again = house.run(gate_blocks=False, draft_train=7, draft_validation=7)
    assert again["cached"] is True
    assert again["fingerprint"] == first["fingerprint"]


def other_reason(house):
    drafts = house.warehouse.read("draft_reasons")
    house.put(
        "draft_reasons",
        drafts.with_columns(
            verdict=pl.when(pl.col("event_id") == "e0-0")
            .then(pl.lit("else"))
            .otherwise(pl.col("verdict"))
        ),
    )


def of_another_fold(house, timestamp):
    """One more event of a user, of a fold that the reward model does not read."""
    events = house.warehouse.read("event_splits")
    new = events.filter(event_id="e0-0").with_columns(
        event_id=pl.lit("new"), fold=pl.lit("policy"), timestamp=pl.lit(timestamp, dtype=pl.Int64)
    )
    house.put("event_splits", pl.concat([events, new]))


def other_history(house):
    of_another_fold(house, timestamp=-1)


def other_encoder(house):
    house.encoder.revision_of_words = "2"


@pytest.mark.parametrize("change", [other_reason, other_history, other_encoder])
def test_what_it_depends_on_changes_its_fingerprint(house, change):
    first = house.run()
    change(house)
    assert house.run()["fingerprint"] != first["fingerprint"]


def test_settings_of_the_model_change_its_fingerprint(house):
    assert house.run()["fingerprint"] != house.run(reason_dropout=0.5)["fingerprint"]


def test_a_draft_of_the_policy_fold_is_refused_and_nothing_is_stored(house):
    drafts = house.warehouse.read("draft_reasons")
    leaked = pl.DataFrame({"event_id": ["e9-0"], "verdict": ["yes"], "why": ["so"]})
    house.put("draft_reasons", pl.concat([drafts, leaked]))
    with pytest.raises(DataError, match="outside the reward fold"):
        house.run()
    with pytest.raises(ArtifactError):
        house.store.current("reward_model")
