"""Embeddings of items and reasons: cached by content, one valid vector per row."""

from datetime import UTC, datetime
from types import SimpleNamespace

import dagster as dg
import numpy as np
import polars as pl
import pytest

from curec_assets.core.asset import as_asset
from curec_assets.features import assets, checks
from curec_assets.features.embedding import embed, neighbours
from curec_assets.settings import EncoderSettings, Settings
from resources.compute.accelerator import Accelerator
from resources.models.downloads import Downloads
from resources.models.text_encoder import TextEncoder
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

ITEMS = pl.DataFrame(
    {
        "item_id": ["1", "x-2", "3"],
        "title": ["The Last Garden", "The Silent Harbor", "Item 3"],
        "text": ["The Last Garden. Drama.", "The Silent Harbor. Crime.", ""],
        "attributes": [[], [], []],
    },
    schema_overrides={"attributes": pl.List(pl.Struct({"kind": pl.String, "value": pl.String}))},
)
REASONS = pl.DataFrame(
    {
        "event_id": ["e1", "e2"],
        "verdict": ["You are very likely to like it.", "You will almost certainly not like it."],
        "why": ["People like you liked it.", ""],
        "level": [8, 1],
        "policy_fingerprint": ["p1", "p2"],
        "round": [0, 1],
    }
)
VECTORS = {
    "item_embeddings": ("embedding",),
    "reason_embeddings": ("verdict_embedding", "why_embedding"),
}


@pytest.fixture
def stage(home, instance):
    """The two assets and their checks, with the tiny encoder."""
    warehouse = Warehouse(path=str(home / "w.duckdb"))
    accelerator, downloads = Accelerator(device="cpu"), Downloads(cache_dir=str(home / "d"))
    encoder = TextEncoder(
        cache_dir=str(home / "encoder"), downloads=downloads, accelerator=accelerator
    )

    def put(table, frame):
        manifest = Manifest(
            asset=table,
            fingerprint="f",
            data_version="v",
            code_version="1",
            created_at=datetime.now(UTC),
        )
        warehouse.write(table, frame, manifest)

    def run():
        resources = {
            "settings": Settings(profile="smoke"),
            "warehouse": warehouse,
            "text_encoder": encoder,
            "model_store": ModelStore(root=str(home / "models")),
        }
        defined = [as_asset(recipe) for recipe in assets.RECIPES]
        defined += [checks.item_vectors_are_valid, checks.reason_vectors_are_valid]
        result = dg.materialize(
            defined, instance=instance, resources=resources, raise_on_error=False
        )
        assert all(check.passed for check in result.get_asset_check_evaluations())
        return {
            name: SimpleNamespace(
                version=event.tags["dagster/data_version"],
                **{key: entry.value for key, entry in event.metadata.items()},
            )
            for name in VECTORS
            for event in result.asset_materializations_for_node(name)
        }

    put("items", ITEMS)
    put("recommendation_reasons", REASONS)
    return SimpleNamespace(warehouse=warehouse, put=put, run=run)


def test_every_row_has_one_vector_in_its_order(stage):
    found = stage.run()
    items = stage.warehouse.read("item_embeddings")
    assert items["item_id"].to_list() == ITEMS["item_id"].to_list()
    assert items.schema["embedding"] == pl.Array(pl.Float32, 32)
    lengths = np.linalg.norm(items["embedding"].to_numpy(), axis=1)
    assert lengths == pytest.approx([1, 1, 0], abs=1e-5)
    assert found["item_embeddings"].dimension == 32
    assert found["item_embeddings"].with_text == pytest.approx(2 / 3)
    assert "The Silent Harbor" in found["item_embeddings"].nearest
    reasons = stage.warehouse.read("reason_embeddings")
    assert reasons["policy_fingerprint"].to_list() == ["p1", "p2"]
    assert reasons["level"].to_list() == [8, 1]
    for name, expected in (("verdict_embedding", [1, 1]), ("why_embedding", [1, 0])):
        assert reasons.schema[name] == pl.Array(pl.Float32, 32)
        lengths = np.linalg.norm(reasons[name].to_numpy(), axis=1)
        assert lengths == pytest.approx(expected, abs=1e-5)


def test_columns_that_are_not_embedded_change_nothing(stage):
    first = stage.run()
    stage.put("items", ITEMS.with_columns(title=pl.lit("other")).reverse())
    stage.put("recommendation_reasons", REASONS.with_columns(round=pl.lit(9)))
    second = stage.run()
    for name in VECTORS:
        assert second[name].cached is True
        assert second[name].version == first[name].version


def test_a_changed_text_is_embedded_again(stage):
    first = stage.run()
    stage.put("items", ITEMS.with_columns(text=pl.lit("A war comedy.")))
    second = stage.run()
    assert second["item_embeddings"].cached is False
    assert second["item_embeddings"].version != first["item_embeddings"].version
    assert second["reason_embeddings"].cached is True


def test_nothing_to_embed_is_an_empty_table(stage):
    stage.put("items", ITEMS.head(0))
    stage.put("recommendation_reasons", REASONS.head(0))
    stage.run()
    for name in VECTORS:
        rows = stage.warehouse.read(name)
        assert rows.height == 0
        assert all(rows.schema[vector] == pl.Array(pl.Float32, 32) for vector in VECTORS[name])


@pytest.mark.parametrize(
    "damage",
    [
        lambda rows: rows.head(2),
        lambda rows: pl.concat([rows, rows.head(1)]),
        lambda rows: rows.with_columns(embedding=pl.col("embedding") * 2),
        lambda rows: rows.with_columns(embedding=pl.col("embedding") * 0),
        lambda rows: rows.with_columns(embedding=pl.col("embedding") / 0),
        lambda rows: rows.with_columns(pl.col("embedding").reverse()),
    ],
    ids=["missing", "twice", "long", "zero", "not finite", "of another item"],
)
def test_the_check_sees_what_is_wrong(stage, damage):
    stage.run()
    stage.put("item_embeddings", damage(stage.warehouse.read("item_embeddings")))
    assert not checks.item_vectors_are_valid(stage.warehouse).passed


@pytest.mark.parametrize(
    "damage",
    [
        lambda rows: rows.head(1),
        lambda rows: rows.with_columns(verdict_embedding=pl.col("verdict_embedding") * 0),
        lambda rows: rows.with_columns(why_embedding=pl.col("why_embedding").reverse()),
        lambda rows: rows.with_columns(level=pl.col("level").reverse()),
    ],
    ids=["missing", "no verdict", "why of another reason", "level of another reason"],
)
def test_the_check_of_reasons_sees_what_is_wrong(stage, damage):
    stage.run()
    assert checks.reason_vectors_are_valid(stage.warehouse).passed
    stage.put("reason_embeddings", damage(stage.warehouse.read("reason_embeddings")))
    assert not checks.reason_vectors_are_valid(stage.warehouse).passed


class Counting:
    """An encoder that counts what it is asked."""

    def encode(self, texts, *, source, batch_size):
        self.asked = list(texts)
        return np.array([[len(text), 1.0] for text in texts])


def test_a_text_is_encoded_once_however_many_rows_have_it():
    encoder = Counting()
    rows = pl.DataFrame({"k": list("abcd"), "verdict": ["no", "yes!", "no", None]})
    vectors = embed(rows, "k", "verdict", encoder, EncoderSettings(source="tiny"), name="v")
    assert sorted(encoder.asked) == ["", "no", "yes!"]
    assert vectors["k"].to_list() == list("abcd")
    assert vectors["v"].to_numpy()[:, 0].tolist() == [2, 4, 2, 0]


def test_neighbours_are_the_nearest_by_cosine():
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [0, 0]], dtype=np.float32)
    rows = pl.DataFrame({"k": list("abcd"), "embedding": vectors})
    found = neighbours(rows, "k", "embedding", {"a": "A", "b": "B", "c": "C"}, samples=1, nearest=2)
    assert found.rows() == [("A", "B", 0.8), ("A", "C", 0.0)]
