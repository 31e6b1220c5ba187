"""Tensors for the recommender: what it reads of an event, a history, an item and a reason.

An item is named by its row in the `Catalogue`; row 0 is "no such item". An item that was never
seen in training has a row (its text can be read) but shares the id embedding 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
import torch
from torch import Tensor

from curec_assets.recommender.statistics import item_attributes, running_statistics


@dataclass(frozen=True)
class Catalogue:
    """Every item that can be scored."""

    item_ids: tuple[str, ...]
    """Sorted; the item at position p has row p + 1."""
    vocabulary: Tensor
    """(items + 1,) index of the id embedding; 0 for an item unknown in training."""
    texts: Tensor
    """(items + 1, text dim) text embeddings; all zero where there is no text."""

    @classmethod
    def make(cls, embeddings: pl.DataFrame, trained: Sequence[str]) -> Self:
        """From `item_embeddings` (`item_id, embedding`) and the ids known in training, in order."""
        ordered = embeddings.sort("item_id")
        item_ids = tuple(ordered["item_id"].to_list())
        index = {item: place for place, item in enumerate(trained, start=1)}
        vocabulary = torch.tensor([0, *(index.get(item, 0) for item in item_ids)])
        return cls(item_ids, vocabulary, _with_zero_row(ordered["embedding"]))

    def rows(self, items: pl.Series) -> np.ndarray:
        """Row of each item id; 0 for an id that is not in the catalogue."""
        index = pl.DataFrame(
            {"item_id": self.item_ids, "row": np.arange(1, len(self.item_ids) + 1)},
            schema={"item_id": pl.String, "row": pl.Int64},
        )
        found = (
            items.rename("item_id")
            .to_frame()
            .join(index, on="item_id", how="left", maintain_order="left")
        )
        return found["row"].fill_null(0).to_numpy(writable=True)


@dataclass(frozen=True)
class Histories:
    """Padded histories, latest events last; `length` columns."""

    items: Tensor
    """(histories, length) catalogue rows, 0 where `mask` is false."""
    feedback: Tensor
    """(histories, length, 3): standardised rating, liked as ±1, log hours before the query."""
    mask: Tensor
    """(histories, length) true where there is an event."""

    @classmethod
    def make(
        cls, frame: pl.DataFrame, catalogue: Catalogue, *, length: int, scale: "RatingScale"
    ) -> Self:
        """From rows of `item_ids, ratings, likes, timestamps` (lists) and the query `timestamp`."""
        lists = ["item_ids", "ratings", "likes", "timestamps"]
        latest = frame.select(
            pl.col(lists).list.tail(length), pl.col("timestamp").alias("now")
        ).with_columns(size=pl.col("item_ids").list.len())
        sizes = latest["size"].to_numpy()
        mask = np.arange(length)[None, :] < sizes[:, None]  # (histories, length)
        flat = latest.filter(pl.col("size") > 0).explode(lists)
        hours = (flat["now"] - flat["timestamps"]).cast(pl.Float64).to_numpy() / 3600
        feedback = np.zeros((*mask.shape, 3), dtype=np.float32)
        feedback[mask] = np.stack(
            [
                scale.standardise(flat["ratings"].cast(pl.Float64).to_numpy()),
                np.where(flat["likes"].cast(pl.Boolean).to_numpy(), 1.0, -1.0),
                np.log1p(np.maximum(hours, 0.0)),
            ],
            axis=-1,
        )
        items = np.zeros(mask.shape, dtype=np.int64)
        items[mask] = catalogue.rows(flat["item_ids"].cast(pl.String))
        return cls(torch.from_numpy(items), torch.from_numpy(feedback), torch.from_numpy(mask))


@dataclass(frozen=True)
class RatingScale:
    """Mean and spread of the training ratings."""

    mean: float
    spread: float

    @classmethod
    def fit(cls, ratings: pl.Series) -> Self:
        """From training ratings; a constant rating has spread 1."""
        values = ratings.cast(pl.Float64).to_numpy()
        return cls(float(values.mean()), float(values.std()) or 1.0)

    def standardise(self, ratings: np.ndarray) -> np.ndarray:
        """(rating - mean) / spread."""
        return (ratings - self.mean) / self.spread


@dataclass(frozen=True)
class Batch:
    """What the model reads of some examples; `size` is the number of examples."""

    item: Tensor  # (size,) catalogue rows
    history_items: Tensor  # (size, length) catalogue rows
    feedback: Tensor  # (size, length, 3)
    mask: Tensor  # (size, length)
    statistics: Tensor  # (size, features)
    reason: Tensor  # (size, text dim)
    has_reason: Tensor  # (size,) bool


@dataclass(frozen=True)
class Examples:
    """Queries (user, item, time) as tensors; a query points at its history and its reason."""

    item: Tensor  # (queries,) catalogue rows
    history: Tensor  # (queries,) rows of `histories`
    statistics: Tensor  # (queries, features)
    reason: Tensor  # (queries,) rows of `reasons`; 0 = no reason
    histories: Histories
    reasons: Tensor  # (reasons + 1, text dim)

    def __len__(self) -> int:
        return len(self.item)

    def batch(self, rows: Tensor, device: str = "cpu") -> Batch:
        """The examples at `rows`, on `device`."""
        history, reason = self.history[rows], self.reason[rows]
        return Batch(
            *(
                tensor.to(device)
                for tensor in (
                    self.item[rows],
                    self.histories.items[history],
                    self.histories.feedback[history],
                    self.histories.mask[history],
                    self.statistics[rows],
                    self.reasons[reason],
                    reason > 0,
                )
            )
        )


def event_examples(
    events: pl.DataFrame,
    histories: pl.DataFrame,
    items: pl.DataFrame,
    reason_embeddings: pl.DataFrame,
    catalogue: Catalogue,
    *,
    length: int,
    scale: RatingScale,
) -> Examples:
    """Every event of `event_splits`, in its order, with what was known just before it."""
    ordered = events.select("event_id", "timestamp").join(
        histories, on="event_id", how="left", maintain_order="left"
    )
    reasons = reason_embeddings.sort("event_id").with_row_index("reason", offset=1)
    reason = events.select("event_id").join(
        reasons.select("event_id", "reason"), on="event_id", how="left", maintain_order="left"
    )["reason"]
    return Examples(
        item=torch.from_numpy(catalogue.rows(events["item_id"])),
        history=torch.arange(events.height),
        statistics=_statistics(events, items, events),
        reason=torch.from_numpy(reason.fill_null(0).cast(pl.Int64).to_numpy(writable=True)),
        histories=Histories.make(ordered, catalogue, length=length, scale=scale),
        reasons=_with_zero_row(reasons["embedding"], catalogue.texts.shape[1]),
    )


def candidate_examples(
    queries: pl.DataFrame,
    log: pl.DataFrame,
    items: pl.DataFrame,
    histories: pl.DataFrame,
    catalogue: Catalogue,
    *,
    length: int,
    scale: RatingScale,
) -> Examples:
    """Candidates that nobody has rated yet, hence without reasons.

    `queries`: `history` (row of `histories`), `user_id, item_id, timestamp`; `log`: all events
    known; only those before the query's time are used.
    """
    size = queries.height
    return Examples(
        item=torch.from_numpy(catalogue.rows(queries["item_id"])),
        history=torch.from_numpy(queries["history"].cast(pl.Int64).to_numpy(writable=True)),
        statistics=_statistics(log, items, queries),
        reason=torch.zeros(size, dtype=torch.int64),
        histories=Histories.make(histories, catalogue, length=length, scale=scale),
        reasons=torch.zeros(1, catalogue.texts.shape[1]),
    )


def _statistics(log: pl.DataFrame, items: pl.DataFrame, queries: pl.DataFrame) -> Tensor:
    return torch.from_numpy(
        running_statistics(log, item_attributes(items), queries).to_numpy(writable=True)
    ).contiguous()


def _with_zero_row(embeddings: pl.Series, dim: int | None = None) -> Tensor:
    """(rows + 1, dim) with an all-zero first row."""
    if embeddings.is_empty():
        return torch.zeros(1, dim or 1)
    rows = np.asarray(embeddings.to_list(), dtype=np.float32)
    return torch.from_numpy(np.concatenate([np.zeros((1, rows.shape[1]), np.float32), rows]))
