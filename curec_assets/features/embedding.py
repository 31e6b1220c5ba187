"""From texts to a table of vectors, and what is near what."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curec_assets.settings import EncoderSettings


class Encoder(Protocol):
    """What is needed of the `text_encoder` resource."""

    def encode(self, texts: Sequence[str], *, source: str, batch_size: int) -> NDArray[Any]:
        """(n, d) unit vectors; zero for an empty text."""
        ...


def embed(
    rows: pl.DataFrame,
    key: str,
    text: str,
    encoder: Encoder,
    settings: EncoderSettings,
    *,
    name: str = "embedding",
) -> pl.DataFrame:
    """`key` and `name` (Array(Float32, d)), one row per row, in their order.

    Each distinct text is encoded once: there are nine verdict sentences, whatever the rows.
    """
    texts = rows[text].fill_null("")
    distinct = texts.unique(maintain_order=True)
    vectors = encoder.encode(
        distinct.to_list(), source=settings.source, batch_size=settings.batch_size
    ).astype(np.float32)
    place = {each: number for number, each in enumerate(distinct)}
    own = np.array([place[each] for each in texts], dtype=np.int64)
    dtype = pl.Array(pl.Float32, vectors.shape[1])
    return rows.select(key).with_columns(pl.Series(name, vectors[own], dtype=dtype))


def neighbours(
    rows: pl.DataFrame,
    key: str,
    vector: str,
    names: dict[str, str],
    *,
    samples: int = 3,
    nearest: int = 3,
) -> pl.DataFrame:
    """Some rows with the rows nearest to them by cosine of `vector`: text, nearest, cosine."""
    vectors = rows[vector].to_numpy()
    keys = rows[key].to_list()
    some = np.flatnonzero(np.linalg.norm(vectors, axis=1) > 0)[:samples]
    found = []
    for row in some:
        cosine = vectors @ vectors[row]
        cosine[row] = -1.0
        for other in np.argsort(-cosine)[:nearest]:
            found.append(
                {
                    "text": names.get(keys[row], keys[row]),
                    "nearest": names.get(keys[other], keys[other]),
                    "cosine": round(float(cosine[other]), 3),
                }
            )
    return pl.DataFrame(found)
