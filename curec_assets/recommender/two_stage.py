"""Ranking in two stages: several retrievers propose, a learned ranker orders what they proposed.

Whatever is said of a query (a user at a time) comes from strictly earlier events. In training and
evaluation the tables of the retrievers are fitted again and again as time goes by.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import ValidationError

from curec_assets.core.seeds import random_generator
from curec_assets.datasets.schema import OBSERVED
from curec_assets.evidence.event_log import Ints
from curec_assets.retrieval.candidates import expected_ranks
from curec_assets.retrieval.content import Content
from curec_assets.retrieval.features import FEATURES, read_features
from curec_assets.retrieval.item_tables import ItemTables
from curec_assets.retrieval.list_models import ListModel, Lists, load_model
from curec_assets.retrieval.proposals import (
    Proposed,
    Scored,
    behind,
    chunks,
    propose,
    score_items,
)
from curec_assets.retrieval.timeline import Asked, Floats, Timeline, in_blocks
from curec_assets.settings import RankingSettings
from resources.errors import ArtifactError, DataError

TablesAt = Iterable[tuple[ItemTables, Ints]]
"""Tables, and rows of the queries that they may serve."""


@dataclass(frozen=True)
class Store:
    """All events known, and what is known of the items."""

    timeline: Timeline
    content: Content
    settings: RankingSettings

    @classmethod
    def make(
        cls,
        log: pl.DataFrame,
        items: pl.DataFrame,
        item_embeddings: pl.DataFrame,
        settings: RankingSettings,
    ) -> Self:
        """`log`: user_id, item_id, rating, liked, timestamp; `items`: item_id, attributes, text.

        What is drawn (`datasets.drawn`) nobody has seen: it is not read.
        """
        timeline = Timeline(log.filter(OBSERVED), sorted(items["item_id"]))
        return cls(timeline, Content.make(timeline, items, item_embeddings), settings)

    def refitted(self, asked: Asked, every: int) -> Iterator[tuple[ItemTables, Ints]]:
        """Tables fitted again after `every` events, each for the queries that come next."""
        for cut, rows in in_blocks(self.timeline, asked, every):
            yield ItemTables.fit(self.timeline, cut, self.settings), rows

    def parts(self, asked: Asked, tables: TablesAt) -> Iterator["Part"]:
        """Candidates of all queries, a few at a time."""
        for fitted, rows in tables:
            for few in chunks(self.timeline, rows):
                scored = score_items(self.timeline, self.content, fitted, asked.of(few))
                yield Part(self, few, asked.of(few), scored, propose(scored, self.settings))

    def lists(
        self, queries: pl.DataFrame, every: int, seed: int, negatives: int | None = None
    ) -> Lists:
        """The lists of liked events whose item was proposed; `negatives` of its rivals, or all."""
        asked, targets = self.ask(queries)
        features, liked, sizes = [np.zeros((0, len(FEATURES)), np.float32)], [], []
        for part in self.parts(asked, self.refitted(asked, every)):
            own = part.proposed.items == targets[part.rows][:, None]
            taken = part.proposed.valid & own.any(axis=1, keepdims=True)
            if negatives is not None and taken.shape[1] > negatives + 1:
                rng = random_generator(seed, "negatives", int(part.rows[0]))
                lot = np.where(part.proposed.valid, rng.random(own.shape), 2.0)
                lot = np.where(own, -1.0, lot)
                taken &= lot <= np.sort(lot, axis=1)[:, negatives, None]
            features.append(part.features(taken))
            liked.append(own[taken])
            sizes.append(taken.sum(axis=1))
        size = np.concatenate([*sizes, np.zeros(0, dtype=np.int64)])
        return Lists(
            np.concatenate(features),
            np.concatenate([*liked, np.zeros(0, dtype=np.bool_)]),
            size[size > 0],
        )

    def ranks(
        self, queries: pl.DataFrame, models: Mapping[str, ListModel], tables: TablesAt
    ) -> dict[str, Floats]:
        """Model → (queries,) rank of each query's `item_id` among all that was not seen before.

        A target that is not proposed ranks below all that are, in the order of `behind`.
        """
        asked, targets = self.ask(queries)
        found = {name: np.zeros(len(asked), dtype=np.float32) for name in models}
        for part in self.parts(asked, tables):
            target, items = targets[part.rows], part.proposed.items
            own = items == target[:, None]
            inside = own.any(axis=1)
            rest = ~part.scored.seen
            row, column = np.nonzero(part.proposed.valid)
            rest[row, items[row, column]] = False
            below = expected_ranks(behind(part.scored), target, rest)
            below += part.proposed.valid.sum(axis=1)
            for name, scores in part.scores(models).items():
                ahead = expected_ranks(scores, own.argmax(axis=1), part.proposed.valid)
                found[name][part.rows] = np.where(inside, ahead, below)
        return found

    def ask(self, queries: pl.DataFrame) -> tuple[Asked, Ints]:
        """Queries and the places of their `item_id`."""
        return self.timeline.ask(queries), self.timeline.item_codes(queries["item_id"])


@dataclass(frozen=True)
class Part:
    """A few queries and their candidates."""

    store: Store
    rows: Ints
    """(queries,) which of all queries."""
    asked: Asked
    scored: Scored
    proposed: Proposed

    def features(self, taken: npt.NDArray[np.bool_]) -> Floats:
        """(taken candidates, features), query after query."""
        row, column = np.nonzero(taken)
        items = self.proposed.items[row, column]
        timeline = self.store.timeline
        return read_features(timeline, self.asked, self.scored, self.proposed, row, items)

    def scores(self, models: Mapping[str, ListModel]) -> dict[str, Floats]:
        """Model → (queries, candidates) scores; -inf where there is no candidate."""
        valid = self.proposed.valid
        features = self.features(valid)
        found = {}
        for name, model in models.items():
            found[name] = np.full(valid.shape, -np.inf, dtype=np.float32)
            found[name][valid] = model.scores(features)
        return found


@dataclass(frozen=True)
class TwoStage:
    """What serves: tables of items, and the model that orders."""

    store: Store
    tables: ItemTables
    model: ListModel

    def save(self, folder: Path) -> None:
        """Write tables, model, and `ranking.json`."""
        self.tables.save(folder, self.store.timeline)
        self.model.save(folder)
        text = json.dumps(self.store.settings.config())
        (folder / "ranking.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(
        cls,
        folder: Path,
        log: pl.DataFrame,
        items: pl.DataFrame,
        item_embeddings: pl.DataFrame,
    ) -> Self:
        """The stored one over events and items of today. Raises `ArtifactError`."""
        try:
            text = (folder / "ranking.json").read_text(encoding="utf-8")
            settings = RankingSettings.model_validate_json(text)
        except (OSError, ValidationError) as error:
            raise ArtifactError(
                f"the ranking in {folder} cannot be read ({error!r}); move the folder away and "
                "materialise the asset 'recommender_ranking' again"
            ) from error
        store = Store.make(log, items, item_embeddings, settings)
        return cls(store, ItemTables.load(folder, store.timeline), load_model(folder))

    def candidates(self, queries: pl.DataFrame) -> pl.DataFrame:
        """`query` (row), item_id of all that is proposed to each user_id at each timestamp."""
        return self.rank(queries).select("query", "item_id").sort("query", "item_id")

    def rank(self, queries: pl.DataFrame, top_k: int | None = None) -> pl.DataFrame:
        """`query` (row), user_id, timestamp, item_id, rank, score: best first.

        Only the order of scores means something. Raises `DataError` for a time before the end of
        what the tables were fitted on.
        """
        names = pl.Series(self.store.timeline.item_ids, dtype=pl.String)
        asked = self._asked(queries)
        rows, items, places, scores = [], [], [], []
        everything = [(self.tables, np.arange(len(asked)))]
        for part in self.store.parts(asked, everything):
            each = part.scores({"": self.model})[""]
            order = np.argsort(-each, axis=1, kind="stable")[:, :top_k]
            row, place = np.nonzero(np.take_along_axis(part.proposed.valid, order, axis=1))
            chosen = order[row, place]
            rows.append(part.rows[row])
            items.append(part.proposed.items[row, chosen])
            places.append(place + 1)
            scores.append(each[row, chosen])
        none = np.zeros(0, dtype=np.int64)
        row = np.concatenate([*rows, none])
        return queries.select("user_id", "timestamp")[row].select(
            pl.Series("query", row, dtype=pl.Int64),
            "user_id",
            "timestamp",
            names.gather(np.concatenate([*items, none])).alias("item_id"),
            pl.Series("rank", np.concatenate([*places, none]), dtype=pl.Int64),
            pl.Series("score", np.concatenate([*scores, none]), dtype=pl.Float64),
        )

    def ranks(self, queries: pl.DataFrame) -> Floats:
        """(queries,) rank of each query's `item_id` in the whole catalogue."""
        everything = [(self.tables, np.arange(len(self._asked(queries))))]
        return self.store.ranks(queries, {"": self.model}, everything)[""]

    def _asked(self, queries: pl.DataFrame) -> Asked:
        asked = self.store.timeline.ask(queries)
        if (early := int(asked.times.min(initial=self.tables.before))) < self.tables.before:
            raise DataError(
                f"a ranking at time {early} is wanted, but the stored tables know what happened "
                f"until {self.tables.before - 1}; ask for a later time, or rank past events with "
                "`Store.ranks` and tables that are fitted as time goes by"
            )
        return asked
