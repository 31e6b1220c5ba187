"""Assets of the group `features`: embeddings of item texts and of reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import Choice, table
from curec_assets.display.tables import markdown_table

_GROUP = "features"
_KINDS = {"duckdb", "huggingface"}


@dataclass(frozen=True)
class _Texts:
    """What is embedded."""

    texts: pl.DataFrame


def _item_texts(inputs: Inputs) -> _Texts:
    return _Texts(inputs.table("items", ["item_id", "text"]))


def _reason_texts(inputs: Inputs) -> _Texts:
    columns = ["event_id", "verdict", "why", "level", "policy_fingerprint"]
    return _Texts(inputs.table("recommendation_reasons", columns))


def _describe(rows: pl.DataFrame, key: str, vector: str, names: pl.DataFrame) -> Mapping[str, Any]:
    from curec_assets.features.embedding import neighbours

    lengths = rows[vector].arr.to_list().list.eval(pl.element().pow(2)).list.sum().sqrt()
    nearest = neighbours(rows, key, vector, dict(names.iter_rows()))
    return {
        "dimension": rows.schema[vector].shape[0],  # type: ignore[attr-defined]
        "with_text": (lengths > 0).sum() / max(rows.height, 1),
        "nearest": markdown_table(nearest, limit=12),
    }


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["item_id"],
    resources=("text_encoder",),
    view=Choice(_item_texts, tables=("items",)),
    describe=lambda rows, inputs: _describe(
        rows, "item_id", "embedding", inputs.table("items", ["item_id", "title"])
    ),
    describe_tables=("items",),
)
def item_embeddings(inputs: Inputs) -> pl.DataFrame:
    """One unit vector per item, of its text; zero where an item has no text."""
    from curec_assets.features.embedding import embed

    encoder = inputs.resource("text_encoder")
    return embed(inputs.view.texts, "item_id", "text", encoder, inputs.settings.encoder)


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["event_id"],
    resources=("text_encoder",),
    view=Choice(_reason_texts, tables=("recommendation_reasons",)),
    describe=lambda rows, inputs: _describe(
        rows, "event_id", "why_embedding", inputs.view.texts.select("event_id", "why")
    ),
)
def reason_embeddings(inputs: Inputs) -> pl.DataFrame:
    """Two unit vectors per stored reason, its level, and the policy that wrote it.

    Verdict and why sentence are embedded separately: in one vector, titles drown the verdict.
    """
    from curec_assets.features.embedding import embed

    reasons = inputs.view.texts
    encoder, settings = inputs.resource("text_encoder"), inputs.settings.encoder
    vectors = [
        embed(reasons, "event_id", sentence, encoder, settings, name=f"{sentence}_embedding")
        for sentence in ("verdict", "why")
    ]
    return pl.concat(
        [vectors[0], vectors[1].drop("event_id"), reasons.select("level", "policy_fingerprint")],
        how="horizontal",
    )


RECIPES = (item_embeddings, reason_embeddings)
