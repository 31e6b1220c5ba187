"""Tensors for the networks: what they read of an event, a history and an item.

An item is named by its row in the `ItemTable`; row 0 is "no such item". An item that was never
seen in training has a row (its text can be read) but shares the id embedding 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
import torch
from torch import Tensor

from curec_assets.datasets.histories import histories_of
from curec_assets.networks.vocabulary import Vocabulary
from curec_assets.recommender.statistics import Smoothing, item_attributes, running_statistics
from curec_assets.settings import RecommenderSettings


@dataclass(frozen=True)
class ItemTable:
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
        vocabulary = torch.tensor([0, *Vocabulary(trained).rows(item_ids)])
        return cls(item_ids, vocabulary, _with_zero_row(ordered["embedding"]))

    def rows(self, items: pl.Series) -> np.ndarray:
        """Row of each item id; 0 for an id that is not in the item_table."""
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
    """Padded histories, latest events last."""

    items: Tensor
    """(histories, length) rows of the item table, 0 where `mask` is false."""
    feedback: Tensor
    """(histories, length, 3): standardised rating, liked as ±1, log hours before the query."""
    mask: Tensor
    """(histories, length) true where there is an event."""

    @classmethod
    def make(cls, frame: pl.DataFrame, item_table: ItemTable, form: "ExampleForm") -> Self:
        """From rows of `item_ids, ratings, likes, timestamps` (lists) and the query `timestamp`."""
        lists = ["item_ids", "ratings", "likes", "timestamps"]
        latest = frame.select(
            pl.col(lists).list.tail(form.length), pl.col("timestamp").alias("now")
        ).with_columns(size=pl.col("item_ids").list.len())
        sizes = latest["size"].to_numpy()
        mask = np.arange(form.length)[None, :] < sizes[:, None]  # (histories, length)
        flat = latest.filter(pl.col("size") > 0).explode(lists)
        hours = (flat["now"] - flat["timestamps"]).cast(pl.Float64).to_numpy() / 3600
        feedback = np.zeros((*mask.shape, 3), dtype=np.float32)
        feedback[mask] = np.stack(
            [
                form.scale.standardise(flat["ratings"].cast(pl.Float64).to_numpy()),
                np.where(flat["likes"].cast(pl.Boolean).to_numpy(), 1.0, -1.0),
                np.log1p(np.maximum(hours, 0.0)),
            ],
            axis=-1,
        )
        items = np.zeros(mask.shape, dtype=np.int64)
        items[mask] = item_table.rows(flat["item_ids"].cast(pl.String))
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
class ExampleForm:
    """How events are turned into numbers; stored beside the networks that were trained on them."""

    length: int
    """History events read."""
    scale: RatingScale
    smoothing: Smoothing


@dataclass(frozen=True)
class Batch:
    """What the model reads of some examples; `size` is the number of examples."""

    item: Tensor  # (size,) rows of the item table
    history_items: Tensor  # (size, length) rows of the item table
    feedback: Tensor  # (size, length, 3)
    mask: Tensor  # (size, length)
    statistics: Tensor  # (size, features)


@dataclass(frozen=True)
class Examples:
    """Queries (user, item, time) as tensors; a query points at its history."""

    item: Tensor  # (queries,) rows of the item table
    history: Tensor  # (queries,) rows of `histories`
    statistics: Tensor  # (queries, features)
    histories: Histories

    def __len__(self) -> int:
        return len(self.item)

    def batch(self, rows: Tensor, device: str = "cpu") -> Batch:
        """The examples at `rows`, on `device`."""
        history = self.history[rows]
        return Batch(
            *(
                tensor.to(device)
                for tensor in (
                    self.item[rows],
                    self.histories.items[history],
                    self.histories.feedback[history],
                    self.histories.mask[history],
                    self.statistics[rows],
                )
            )
        )


@dataclass(frozen=True)
class EventTables:
    """What candidates are ranked from."""

    events: pl.DataFrame
    """`event_splits`: training reads its train split, selection its validation split."""
    histories: pl.DataFrame
    """`HISTORIES` of these events."""
    items: pl.DataFrame
    item_embeddings: pl.DataFrame

    @classmethod
    def make(
        cls,
        settings: RecommenderSettings,
        events: pl.DataFrame,
        items: pl.DataFrame,
        item_embeddings: pl.DataFrame,
    ) -> Self:
        """With each event's history among these events, as long as the networks read."""
        histories = histories_of(events, events, settings.history_length)
        return cls(events, histories, items, item_embeddings)


@dataclass(frozen=True)
class TrainingData:
    """The tables as tensors, and which rows each split has."""

    events: pl.DataFrame
    trained_items: tuple[str, ...]
    item_table: ItemTable
    form: ExampleForm
    examples: Examples
    liked: Tensor
    rows: Mapping[str, Tensor]

    @classmethod
    def make(cls, tables: EventTables, settings: RecommenderSettings) -> Self:
        """From the tables; ratings are scaled, and ids known, by the train split alone."""
        training = tables.events.filter(pl.col("split") == "train")
        trained_items = tuple(training["item_id"].unique().sort().to_list())
        item_table = ItemTable.make(tables.item_embeddings, trained_items)
        form = ExampleForm(
            settings.history_length,
            RatingScale.fit(training["rating"].fill_null(0.0)),
            Smoothing(settings.smoothing, settings.recent_half_life),
        )
        split = tables.events["split"].to_numpy()
        return cls(
            tables.events,
            trained_items,
            item_table,
            form,
            event_examples(tables, item_table, form),
            torch.from_numpy(tables.events["liked"].to_numpy(writable=True)),
            {
                name: torch.from_numpy(np.flatnonzero(split == name))
                for name in ("train", "validation", "test")
            },
        )


def event_examples(tables: EventTables, item_table: ItemTable, form: ExampleForm) -> Examples:
    """Every event of `event_splits`, in its order, with what was known just before it."""
    events = tables.events
    ordered = events.select("event_id", "timestamp").join(
        tables.histories, on="event_id", how="left", maintain_order="left"
    )
    return Examples(
        item=torch.from_numpy(item_table.rows(events["item_id"])),
        history=torch.arange(events.height),
        statistics=_statistics(events, tables.items, events, form.smoothing),
        histories=Histories.make(ordered, item_table, form),
    )


def candidate_examples(
    queries: pl.DataFrame,
    log: pl.DataFrame,
    items: pl.DataFrame,
    histories: pl.DataFrame,
    item_table: ItemTable,
    form: ExampleForm,
) -> Examples:
    """Candidates now, as the networks read them.

    `queries`: `history` (row of `histories`), `user_id, item_id, timestamp`; `log`: all events
    known; only those before the query's time are used.
    """
    return Examples(
        item=torch.from_numpy(item_table.rows(queries["item_id"])),
        history=torch.from_numpy(queries["history"].cast(pl.Int64).to_numpy(writable=True)),
        statistics=_statistics(log, items, queries, form.smoothing),
        histories=Histories.make(histories, item_table, form),
    )


def _statistics(
    log: pl.DataFrame, items: pl.DataFrame, queries: pl.DataFrame, smoothing: Smoothing
) -> Tensor:
    found = running_statistics(log, item_attributes(items), queries, smoothing)
    return torch.from_numpy(found.to_numpy(writable=True)).contiguous()


def _with_zero_row(embeddings: pl.Series, dim: int | None = None) -> Tensor:
    """(rows + 1, dim) with an all-zero first row."""
    if embeddings.is_empty():
        return torch.zeros(1, dim or 1)
    rows = np.asarray(embeddings.to_list(), dtype=np.float32)
    return torch.from_numpy(np.concatenate([np.zeros((1, rows.shape[1]), np.float32), rows]))
