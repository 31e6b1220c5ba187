"""Forward in time: no event is scored by a model that has seen it, or anything after it.

Training events are divided into blocks by time. Block k is scored by a model of the blocks before
it; the first block has no score. Validation and test are scored by a model of all of train.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from curec_assets.evidence import schema
from curec_assets.evidence.event_log import Floats, Ints
from curec_assets.evidence.model import EvidenceModel
from curec_assets.settings import EvidenceSettings

_FINAL = "final"


@dataclass(frozen=True)
class ForwardModels:
    """One model a block of the training events, and the model of all of them."""

    of_block: Mapping[int, EvidenceModel]
    """Block → model of all earlier blocks; block 0 has none."""
    final: EvidenceModel
    """Of all training events: for validation, test and candidates now."""

    @classmethod
    def fit(
        cls, numbers: pl.DataFrame, events: pl.DataFrame, settings: EvidenceSettings, seed: int
    ) -> Self:
        """`numbers`: `COLUMNS` of each of `events` (timestamp, liked, split, block), same order."""

        def fitted(chosen: pl.Series) -> EvidenceModel:
            return EvidenceModel.fit(numbers.filter(chosen), events.filter(chosen), settings, seed)

        block = events["block"]
        blocks = sorted(block.drop_nulls().unique())
        return cls(
            {number: fitted((block < number).fill_null(False)) for number in blocks if number > 0},
            fitted(events["split"] == "train"),
        )

    def score(self, numbers: pl.DataFrame, blocks: pl.Series) -> Floats:
        """(events,) probability; NaN in block 0. `blocks`: of each event, null outside train."""
        found = np.full(numbers.height, np.nan)
        for model, rows in self._by_model(blocks):
            found[rows] = model.probabilities(numbers[rows])
        return found

    def contributions(self, numbers: pl.DataFrame, blocks: pl.Series) -> Floats:
        """(events, `schema.GROUPS`), each of the model that scores the event; 0 in block 0."""
        found = np.zeros((numbers.height, len(schema.GROUPS)))
        for model, rows in self._by_model(blocks):
            found[rows] = model.contributions(numbers[rows])
        return found

    def _by_model(self, blocks: pl.Series) -> Iterator[tuple[EvidenceModel, Ints]]:
        numbered = blocks.fill_null(-1).to_numpy()
        for number, model in {**self.of_block, -1: self.final}.items():
            rows = np.flatnonzero(numbered == number)
            if len(rows):
                yield model, rows

    def save(self, folder: Path) -> None:
        """A folder for each model."""
        for number, model in self.of_block.items():
            model.save(folder / f"block_{number}")
        self.final.save(folder / _FINAL)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        blocks = {int(path.name.removeprefix("block_")): path for path in folder.glob("block_*")}
        return cls(
            {number: EvidenceModel.load(path) for number, path in sorted(blocks.items())},
            load_final(folder),
        )


def load_final(folder: Path) -> EvidenceModel:
    """The model for candidates now, of the folder of the artifact `evidence_model`."""
    return EvidenceModel.load(folder / _FINAL)


def time_blocks(event_splits: pl.DataFrame, blocks: int) -> pl.Series:
    """(events,) block of each training event, null elsewhere; a timestamp is never divided.

    Blocks are as even as whole timestamps allow; fewer than wanted where there are fewer times.
    """
    train = event_splits["split"] == "train"
    times = event_splits.filter(train)["timestamp"].sort()
    begins = {times[number * len(times) // blocks] for number in range(1, blocks)}
    cuts = np.array(sorted(begins - {times[0]}), dtype=np.int64)
    found = np.searchsorted(cuts, event_splits["timestamp"].to_numpy(), side="right")
    return pl.select(block=pl.when(train).then(pl.Series(found, dtype=pl.Int64))).to_series()
