"""What items' texts say, as a few numbers an item: principal components of their embeddings.

Of more items than fit in memory at double precision, the components come from products that are
summed block by block: the same but for rounding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from curec_assets.evidence.event_log import Floats

_AT_ONCE = 100_000  # items


@dataclass(frozen=True)
class TextComponents:
    """Of every item that has an embedding."""

    item_ids: pl.Series
    values: Floats
    """(items, components) in standard deviations of all of them; no column where texts tell
    nothing.
    """

    @classmethod
    def of(cls, embeddings: pl.DataFrame, components: int, seed: int) -> "TextComponents":
        """`embeddings`: item_id, embedding. At most `components` of them."""
        item_ids = embeddings["item_id"]
        first = embeddings["embedding"].head(1).to_numpy()
        if not any((block != first).any() for block in _blocks(embeddings)):
            return cls(item_ids, np.zeros((len(item_ids), 0)))  # no texts, or all the same
        reduced = _reduced(embeddings, min(components, len(item_ids), first.shape[1]), seed)
        reduced /= max(float(reduced.std()), 1e-9)
        return cls(item_ids, reduced)

    def of_items(self, item_ids: pl.Series, components: int) -> Floats:
        """(items, 1 + components) a constant and the components; zero rows for items without."""
        found = np.zeros((len(item_ids), 1 + components))
        size = self.values.shape[1]
        if not size:
            return found
        rows = pl.DataFrame({"item_id": item_ids}).join(
            pl.DataFrame({"item_id": self.item_ids}).with_row_index("row"),
            on="item_id",
            how="left",
            maintain_order="left",
        )["row"]
        known = rows.is_not_null().to_numpy()
        found[known, 0] = 1.0
        found[known, 1 : 1 + size] = self.values[rows.drop_nulls().to_numpy()]
        return found


def _reduced(embeddings: pl.DataFrame, size: int, seed: int) -> Floats:
    """(items, size) principal components."""
    from sklearn.decomposition import PCA

    if embeddings.height <= _AT_ONCE:
        (vectors,) = _blocks(embeddings)
        found: Floats = PCA(size, random_state=seed).fit_transform(vectors)
        return found
    count, total, products = 0, np.zeros(1), np.zeros((1, 1))
    for block in _blocks(embeddings):
        count += len(block)
        total = total + block.sum(axis=0)
        products = products + block.T @ block
    mean = total / count
    _, axes = np.linalg.eigh((products - count * np.outer(mean, mean)) / (count - 1))
    axes = axes[:, ::-1][:, :size]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(size)]
    axes = axes * np.sign(largest)  # the sign that scikit-learn's PCA gives
    return np.concatenate([block @ axes - mean @ axes for block in _blocks(embeddings)])


def _blocks(embeddings: pl.DataFrame) -> Iterator[Floats]:
    for rows in embeddings.iter_slices(_AT_ONCE):
        yield rows["embedding"].to_numpy().astype(np.float64)
