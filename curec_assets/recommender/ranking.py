"""Building the artifact `recommender_ranking`: where each network ranks held-out liked events."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.evaluation.metrics import ndcg
from curec_assets.recommender.dataset import EventTables
from curec_assets.recommender.ranker import Ranker
from curec_assets.recommender.two_stage import Proposed, combined
from curec_assets.retrieval.candidates import (
    full_ranks,
    ranked_events,
    target_indices,
    two_stage_ranks,
)
from curec_assets.retrieval.item_scorers import Floats, ItemScorers
from curec_assets.settings import RecommenderSettings
from resources.errors import ArtifactError


def build_ranking(
    folder: Path,
    tables: EventTables,
    retrievers: ItemScorers,
    ranker: Ranker,
    *,
    settings: RecommenderSettings,
    seed: int,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any]:
    """Choose the retriever's weight on validation, then rank the test events of every network.

    Files: `ranks.parquet` (`event_id, variant, seed, split, rank`) and `ranking.json` (the weight).
    Returns the metrics of the manifest.
    """
    validation = _Ranked.make("validation", tables, retrievers, ranker, settings, seed)
    served = validation.proposed.served_probabilities(ranker, device)
    gains: dict[float, float] = {}
    for tried in settings.retriever_weights:
        ranks = validation.ranks(served, tried)
        gains[tried] = float(ndcg(ranks).mean()) if len(ranks) else 0.0
        log(f"weight {tried:g} of the retriever: validation NDCG@10 {gains[tried]:.4f}")
    weight = max(gains, key=lambda tried: gains[tried])
    test = _Ranked.make("test", tables, retrievers, ranker, settings, seed)
    pl.concat(
        test.queries.select(
            "event_id",
            pl.lit(variant).alias("variant"),
            pl.lit(number, dtype=pl.Int64).alias("seed"),
            "split",
            pl.Series("rank", test.ranks(test.proposed.probabilities(network, device), weight)),
        )
        for (variant, number), network in ranker.networks.items()
    ).write_parquet(folder / "ranks.parquet")
    (folder / "ranking.json").write_text(json.dumps({"retriever_weight": weight}), encoding="utf-8")
    return {
        "retriever_weight": weight,
        "validation_ndcg": {f"{tried:g}": gain for tried, gain in gains.items()},
    }


def retriever_weight(folder: Path) -> float:
    """Weight of the retriever's score in a stored ranking. Raises `ArtifactError`."""
    try:
        return float(json.loads((folder / "ranking.json").read_text("utf-8"))["retriever_weight"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"the ranking in {folder} cannot be read ({error!r}); move the folder away and "
            "materialise the asset 'recommender_ranking' again"
        ) from error


@dataclass(frozen=True)
class _Ranked:
    """Liked events of a split whose rank is wanted, and what is proposed in their place."""

    queries: pl.DataFrame
    proposed: Proposed
    target: npt.NDArray[np.int64]
    retriever_ranks: Floats

    @classmethod
    def make(
        cls,
        split: str,
        tables: EventTables,
        retrievers: ItemScorers,
        ranker: Ranker,
        settings: RecommenderSettings,
        seed: int,
    ) -> "_Ranked":
        queries = ranked_events(tables.events, split, settings.ranked_events, seed)
        histories = queries.select("event_id").join(
            tables.histories, on="event_id", how="left", maintain_order="left"
        )
        proposed = Proposed.make(
            queries,
            histories,
            retrievers,
            ranker,
            log=tables.events,
            items=tables.items,
            item_embeddings=tables.item_embeddings,
            candidates=settings.candidates,
        )
        target = target_indices(retrievers, queries)
        return cls(
            queries, proposed, target, full_ranks(retrievers, "ease", tables.events, queries)
        )

    def ranks(self, probabilities: npt.NDArray[np.floating], weight: float) -> Floats:
        ordered = combined(probabilities, self.proposed.proposals, weight)
        return two_stage_ranks(self.proposed.proposals, ordered, self.target, self.retriever_ranks)
