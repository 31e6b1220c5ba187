"""Assets of the group `features`: embeddings of item texts and of reasons."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.core import materialize
from curec_assets.core.provenance import content_hash
from curec_assets.display.tables import markdown_table
from curec_assets.settings import Settings
from resources.models.text_encoder import TextEncoder
from resources.storage.warehouse import Warehouse


@dg.asset(
    group_name="features",
    kinds={"duckdb", "huggingface"},
    owners=["team:curec"],
    pool="gpu",
    code_version="1",
    deps=["items"],
)
def item_embeddings(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    text_encoder: TextEncoder,
) -> dg.MaterializeResult[None]:
    """One unit vector per item, of its text; zero where an item has no text."""
    from curec_assets.features.embedding import embed

    encoder = settings.resolve().encoder
    items = warehouse.read("items", ["item_id", "title", "text"])
    names = dict(items.select("item_id", "title").iter_rows())
    texts = items.select("item_id", "text")
    return materialize.table(
        context,
        warehouse,
        key=["item_id"],
        config={"source": encoder.source},
        inputs={
            "items": content_hash(texts, key=["item_id"]),
            "text_encoder": text_encoder.revision(encoder.source),
        },
        build=lambda: embed(texts, "item_id", "text", text_encoder, encoder),
        describe=lambda rows: _describe(rows, "item_id", names),
    )


@dg.asset(
    group_name="features",
    kinds={"duckdb", "huggingface"},
    owners=["team:curec"],
    pool="gpu",
    code_version="1",
    deps=["recommendation_reasons"],
)
def reason_embeddings(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    text_encoder: TextEncoder,
) -> dg.MaterializeResult[None]:
    """One unit vector per stored reason, with the fingerprint of the policy that wrote it."""
    from curec_assets.features.embedding import embed

    encoder = settings.resolve().encoder
    reasons = warehouse.read("recommendation_reasons", ["event_id", "reason", "policy_fingerprint"])
    names = dict(reasons.select("event_id", "reason").iter_rows())

    def build() -> pl.DataFrame:
        vectors = embed(reasons, "event_id", "reason", text_encoder, encoder)
        return vectors.with_columns(reasons["policy_fingerprint"])

    return materialize.table(
        context,
        warehouse,
        key=["event_id"],
        config={"source": encoder.source},
        inputs={
            "recommendation_reasons": content_hash(reasons, key=["event_id"]),
            "text_encoder": text_encoder.revision(encoder.source),
        },
        build=build,
        describe=lambda rows: _describe(rows, "event_id", names),
    )


def _describe(rows: pl.DataFrame, key: str, names: dict[str, str]) -> Mapping[str, Any]:
    from curec_assets.features.embedding import neighbours

    lengths = rows["embedding"].arr.to_list().list.eval(pl.element().pow(2)).list.sum().sqrt()
    return {
        "dimension": rows.schema["embedding"].shape[0],  # type: ignore[attr-defined]
        "with_text": (lengths > 0).sum() / max(rows.height, 1),
        "nearest": dg.MetadataValue.md(markdown_table(neighbours(rows, key, names), limit=12)),
    }
