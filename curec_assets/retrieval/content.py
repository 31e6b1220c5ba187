"""What is known of an item without anybody's behaviour: its text and its attributes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from curec_assets.retrieval.timeline import Floats, Timeline


@dataclass(frozen=True)
class Content:
    """Of every item of the catalogue; zeros where nothing is known."""

    texts: Floats
    """(items, dim) embedding of the text, length 1."""
    attributes: Any
    """(items, values) sparse, rarer values heavier, length 1."""

    @classmethod
    def make(
        cls, timeline: Timeline, items: pl.DataFrame, item_embeddings: pl.DataFrame
    ) -> "Content":
        """`items`: item_id, attributes, text; `item_embeddings`: item_id, embedding."""
        return cls(_texts(timeline, items, item_embeddings), _attributes(timeline, items))

    def text_scores(self, histories: Any) -> Floats:
        """(queries, items) cosine of the mean text of what was weighed, and each item's."""
        found: Floats = _unit(np.asarray(histories @ self.texts)) @ self.texts.T
        return found

    def attribute_scores(self, histories: Any) -> Floats:
        """(queries, items) cosine of the attributes of what was weighed, and each item's."""
        profile = _unit((histories @ self.attributes).toarray())
        return np.asarray((self.attributes @ profile.T).T, dtype=np.float32)


def _texts(timeline: Timeline, items: pl.DataFrame, item_embeddings: pl.DataFrame) -> Floats:
    told = items.filter(pl.col("text").str.len_chars() > 0).select("item_id")
    found = item_embeddings.join(told, on="item_id", how="semi")
    dimension = len(item_embeddings["embedding"][0]) if item_embeddings.height else 0
    texts = np.zeros((timeline.size, dimension), dtype=np.float32)
    codes = timeline.item_codes(found["item_id"])
    if found.height:
        vectors = np.stack(found["embedding"].to_list()).astype(np.float32)
        texts[codes[codes >= 0]] = vectors[codes >= 0]
    return _unit(texts)


def _attributes(timeline: Timeline, items: pl.DataFrame) -> Any:
    from scipy.sparse import csr_matrix

    pairs = (
        items.select("item_id", "attributes")
        .explode("attributes")
        .drop_nulls("attributes")
        .select(
            "item_id",
            value=pl.col("attributes").struct.field("kind")
            + "="
            + pl.col("attributes").struct.field("value"),
        )
        .drop_nulls()
        .unique()
        .sort("value", "item_id")
        .with_columns(code=pl.col("value").rank("dense").cast(pl.Int64) - 1)
    )
    rows, columns = timeline.item_codes(pairs["item_id"]), pairs["code"].to_numpy()
    rows, columns = rows[rows >= 0], columns[rows >= 0]
    width = int(columns.max(initial=-1)) + 1
    rarity = np.log1p(timeline.size / np.maximum(np.bincount(columns, minlength=width), 1))
    length = np.sqrt(np.bincount(rows, weights=rarity[columns] ** 2, minlength=timeline.size))
    weights = rarity[columns] / np.maximum(length[rows], 1e-9)
    shape = (timeline.size, max(width, 1))
    return csr_matrix((weights.astype(np.float32), (rows, columns)), shape=shape)


def _unit(vectors: Floats) -> Floats:
    """Rows of length 1; zero rows stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = (vectors / np.where(length > 0, length, 1.0)).astype(np.float32)
    return scaled
