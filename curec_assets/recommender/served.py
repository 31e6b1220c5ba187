"""The blend of all parts for candidates now: the probability that is shown beside a recommendation.

Candidates have no reason yet, so the rungs with reasons are those without.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from curec_assets.datasets.histories import histories_at
from curec_assets.evidence.model import EvidenceModel
from curec_assets.evidence.numbers import EvidenceNumbers
from curec_assets.recommender.build import WITH_REASONS, logit, to_probability
from curec_assets.recommender.dataset import candidate_examples
from curec_assets.recommender.ranker import SERVED, Ranker
from curec_assets.recommender.statistics import item_attributes, running_statistics
from curec_assets.recommender.tabular import Floats, Rows, TabularParts, text_cosine
from curec_assets.recommender.training import score
from resources.errors import ArtifactError


@dataclass(frozen=True)
class Known:
    """All that is known when candidates are scored."""

    interactions: pl.DataFrame
    items: pl.DataFrame
    item_embeddings: pl.DataFrame
    numbers: EvidenceNumbers
    """Over these interactions."""


@dataclass(frozen=True)
class Served:
    """The stored parts and how they are blended."""

    ranker: Ranker
    tabular: TabularParts
    evidence: EvidenceModel
    weights: dict[str, float]
    offset: float

    @classmethod
    def load(cls, folder: Path, evidence: EvidenceModel) -> Self:
        """From the artifact `recommender`. Raises `ArtifactError` when it cannot be read."""
        try:
            blended = json.loads((folder / "blend.json").read_text(encoding="utf-8"))
            tabular = TabularParts.load(folder / "tabular")
            weights, offset = dict(blended["weights"]), float(blended["offset"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"the recommender in {folder} cannot be read ({error!r}); move the folder away and "
                "materialise the asset 'recommender' again"
            ) from error
        return cls(Ranker.load(folder), tabular, evidence, weights, offset)

    def probabilities(self, rows: pl.DataFrame, known: Known, device: str = "cpu") -> Floats:
        """(rows,) of user_id, item_id, timestamp, all of one moment."""
        parts = self._log_odds(rows, known, device)
        total = np.full(rows.height, self.offset)
        for name, weight in self.weights.items():
            total += weight * parts[WITH_REASONS.get(name, name)]
        return to_probability(total)

    def _log_odds(self, rows: pl.DataFrame, known: Known, device: str) -> dict[str, Floats]:
        form = self.ranker.form
        now = int(rows["timestamp"].max() or 0)  # type: ignore[arg-type]
        users = rows["user_id"].unique(maintain_order=True)
        histories = _in_order(rows["user_id"], users, known.interactions, now, form.length)
        table = self.ranker.item_table(known.item_embeddings)
        examples = candidate_examples(
            rows.with_row_index("history"),
            known.interactions,
            known.items,
            histories.with_columns(timestamp=rows["timestamp"]),
            table,
            form,
        )
        import torch

        every = torch.arange(len(examples))
        networks = [
            logit(score(network.to(device), examples, table, every, device).astype(np.float64))
            for (variant, _), network in self.ranker.networks.items()
            if variant == SERVED
        ]
        evidence = known.numbers.read(rows)
        statistics = running_statistics(
            known.interactions, item_attributes(known.items), rows, form.smoothing
        )
        cosine = text_cosine(rows["item_id"], histories, known.item_embeddings)
        return {
            SERVED: np.mean(networks, axis=0),
            "evidence": logit(self.evidence.probabilities(evidence)),
            **self.tabular.log_odds(Rows.make(evidence, statistics, cosine)),
        }


def _in_order(
    wanted: pl.Series, users: Sequence[str] | pl.Series, log: pl.DataFrame, now: int, length: int
) -> pl.DataFrame:
    """The history of each of `wanted`, at `now`."""
    each = histories_at(log, list(users), now, length)
    return wanted.to_frame("user_id").join(each, on="user_id", how="left", maintain_order="left")
