"""ItemScorers: a score for every item of the catalogue from what a user liked so far.

EASE (`evidence.ease`) is learned from training likes, and a user's running history is folded in
when scoring, so it serves users that training never saw.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.evidence.ease import ease, gram
from resources.errors import ArtifactError

Floats = npt.NDArray[np.float32]

_TIE_BREAK = 1e-6  # share of popularity in the scores: decides only between equal scores


@dataclass(frozen=True)
class ItemScorers:
    """EASE, item k-NN, popularity and mean like rate over one catalogue."""

    item_ids: tuple[str, ...]
    """The catalogue, sorted."""
    known: npt.NDArray[np.int64]
    """(known items,) indices in the catalogue that EASE learned."""
    similarity: Floats
    """(known items, known items) EASE weights; row = liked item, column = scored item."""
    neighbours: Floats
    """(known items, known items) similarity of item k-NN, in the same layout."""
    popularity: Floats
    """(items,) training likes."""
    like_rate: Floats
    """(items,) smoothed training like rate."""
    l2: float
    """EASE's regularisation."""

    @classmethod
    def fit(
        cls,
        training: pl.DataFrame,
        item_ids: Sequence[str],
        *,
        l2: float,
        ease_items: int,
        smoothing: float,
        neighbours: int = 50,
    ) -> Self:
        """From training events (`user_id, item_id, liked`) and the catalogue's ids.

        EASE learns the `ease_items` most liked items; it scores all others 0. `smoothing`:
        events of prior belief in an item's like rate. `neighbours` of an item in item k-NN.
        """
        catalogue = tuple(sorted(item_ids))
        totals = (
            pl.DataFrame({"item_id": catalogue}, schema={"item_id": pl.String})
            .join(
                training.group_by("item_id").agg(likes=pl.col("liked").sum(), count=pl.len()),
                on="item_id",
                how="left",
                maintain_order="left",
            )
            .fill_null(0)
        )
        likes, count = totals["likes"].to_numpy(), totals["count"].to_numpy()
        prior = likes.sum() / max(count.sum(), 1)
        chosen = np.argsort(-likes, kind="stable")[:ease_items]
        known = np.sort(chosen[likes[chosen] > 0])
        matrix = _likes(training, [catalogue[index] for index in known])
        return cls(
            catalogue,
            known,
            ease(matrix, l2),
            nearest(matrix, neighbours),
            likes.astype(np.float32),
            ((likes + smoothing * prior) / (count + smoothing)).astype(np.float32),
            l2,
        )

    def scores(self, retriever: str, liked: Floats) -> Floats:
        """(queries, items) scores of `ease`, `item_knn`, `popularity` or `item_mean`.

        `liked` (queries, items) is 1 where the user has liked the item before.
        """
        tables = {"ease": self.similarity, "item_knn": self.neighbours}
        if retriever in tables:
            scores = np.broadcast_to(
                _TIE_BREAK * self.popularity / max(self.popularity.max(initial=0.0), 1.0),
                liked.shape,
            ).copy()
            scores[:, self.known] += liked[:, self.known] @ tables[retriever]
            return scores
        fixed = {"popularity": self.popularity, "item_mean": self.like_rate}[retriever]
        return np.broadcast_to(fixed, liked.shape)

    def save(self, folder: Path) -> None:
        """Write `retrievers.safetensors` and `retrievers.json`."""
        from safetensors.numpy import save_file

        arrays = {name: getattr(self, name) for name in _ARRAYS}
        save_file(arrays, folder / "retrievers.safetensors")
        (folder / "retrievers.json").write_text(
            json.dumps({"item_ids": self.item_ids, "l2": self.l2}), encoding="utf-8"
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The inverse of `save`. Raises `ArtifactError`."""
        from safetensors.numpy import load_file

        try:
            arrays = load_file(folder / "retrievers.safetensors")
            values = json.loads((folder / "retrievers.json").read_text(encoding="utf-8"))
            fields = {name: arrays[name] for name in _ARRAYS}
            return cls(item_ids=tuple(values["item_ids"]), l2=values["l2"], **fields)
        except (OSError, ValueError, KeyError) as error:
            raise ArtifactError(
                f"the retrievers in {folder} cannot be read ({error!r}); move the folder away and "
                "materialise the asset 'baseline_recommenders' again"
            ) from error


_ARRAYS = ("known", "similarity", "neighbours", "popularity", "like_rate")


def nearest(likes: Any, neighbours: int, shrinkage: float = 10.0) -> Floats:
    """Cosine similarity (items, items) of a 0/1 matrix (users, items), dense or sparse.

    Shrunk for pairs that few people share; each item (column) keeps its `neighbours` most similar.
    """
    shared = gram(likes)
    count = np.diag(shared).copy()
    np.fill_diagonal(shared, 0.0)
    cosine = shared / np.sqrt(np.maximum(np.outer(count, count), 1.0))
    cosine *= shared / np.maximum(shared + shrinkage, 1.0)
    if neighbours < len(cosine):
        least = np.partition(cosine, -neighbours, axis=0)[-neighbours]
        cosine = np.where(cosine >= least, cosine, 0.0)
    return cosine.astype(np.float32)


def _likes(training: pl.DataFrame, items: Sequence[str]) -> Floats:
    """(users, items) 1 where a training user liked the item."""
    columns = pl.DataFrame(
        {"item_id": items, "column": range(len(items))},
        schema={"item_id": pl.String, "column": pl.Int64},
    )
    pairs = (
        training.filter("liked")
        .join(columns, on="item_id")
        .with_columns(row=pl.col("user_id").rank("dense") - 1)
    )
    matrix = np.zeros((pairs["user_id"].n_unique(), len(items)), dtype=np.float32)
    matrix[pairs["row"].to_numpy(), pairs["column"].to_numpy()] = 1.0
    return matrix
