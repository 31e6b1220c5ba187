"""Building the artifact `recommender`: every variant and seed, its predictions and its ranks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from curec_assets.core.seeds import derive
from curec_assets.evaluation.metrics import ndcg
from curec_assets.recommender.dataset import Catalogue, Examples, RatingScale, event_examples
from curec_assets.recommender.din import DIN, VARIANTS, DINConfig, Variant
from curec_assets.recommender.ranker import SERVED, Ranker, combined, proposal_examples
from curec_assets.recommender.training import score, train
from curec_assets.retrieval.candidates import (
    Proposals,
    full_ranks,
    propose,
    ranked_events,
    target_places,
    two_stage_ranks,
)
from curec_assets.retrieval.item_scorers import Floats, Retrievers
from curec_assets.settings import RecommenderSettings

HISTORY_LENGTH = 20
"""Latest history events that the network reads."""
RETRIEVER_WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Weights of the retriever's score tried on validation; 0 = the ranker alone."""


@dataclass(frozen=True)
class Inputs:
    """The tables that the recommender is made from."""

    events: pl.DataFrame
    """`event_splits`: training reads its train split, selection its validation split."""
    histories: pl.DataFrame
    items: pl.DataFrame
    item_embeddings: pl.DataFrame
    reason_embeddings: pl.DataFrame


def build_recommender(
    folder: Path,
    inputs: Inputs,
    retrievers: Retrievers,
    *,
    settings: RecommenderSettings,
    seed: int,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any]:
    """Train, choose epoch and retriever weight on validation, then predict and rank.

    Files: see `Ranker`; `predictions.parquet` (`event_id, variant, seed, split, probability`) for
    validation and test, `ranks.parquet` (`event_id, variant, seed, split, rank`) for test.
    Returns the metrics of the manifest.
    """
    data = TrainingData.make(inputs)
    networks: dict[tuple[Variant, int], DIN] = {}
    curves: dict[str, Any] = {}
    predictions: list[pl.DataFrame] = []
    for variant in VARIANTS:
        for number in range(settings.seeds):
            trained = train(
                data.config(variant, settings),
                data.examples,
                data.catalogue,
                data.liked,
                train_rows=data.rows["train"],
                validation_rows=data.rows["validation"],
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                seed=derive(seed, "recommender", number),
                device=device,
            )
            networks[variant, number] = trained.network
            curves[f"{variant}-{number}"] = {
                "loss": trained.losses,
                "validation_loss": trained.validation_losses,
                "validation_auc": trained.validation_aucs,
                "epoch": trained.best_epoch + 1,
            }
            best = trained.validation_losses[trained.best_epoch]
            log(f"{variant}, seed {number}: validation LogLoss {best:.4f}")
            predictions += data.predictions(trained.network, variant, number, device)
    pl.concat(predictions).write_parquet(folder / "predictions.parquet")
    ranks, weight, gains = _rank(networks, data, inputs, retrievers, settings, seed, device)
    ranks.write_parquet(folder / "ranks.parquet")
    Ranker(networks, data.trained_items, data.scale, HISTORY_LENGTH, weight).save(folder)
    return {
        "curves": curves,
        "retriever_weight": weight,
        "validation_ndcg": gains,
        "events_with_reason": data.coverage(),
    }


@dataclass(frozen=True)
class TrainingData:
    """The inputs as tensors, and which rows each split has."""

    events: pl.DataFrame
    trained_items: tuple[str, ...]
    catalogue: Catalogue
    scale: RatingScale
    examples: Examples
    liked: torch.Tensor
    rows: Mapping[str, torch.Tensor]

    @classmethod
    def make(cls, inputs: Inputs) -> "TrainingData":
        """From the tables; ratings are scaled, and ids known, by the train split alone."""
        training = inputs.events.filter(pl.col("split") == "train")
        trained_items = tuple(training["item_id"].unique().sort().to_list())
        catalogue = Catalogue.make(inputs.item_embeddings, trained_items)
        scale = RatingScale.fit(training["rating"])
        split = inputs.events["split"].to_numpy()
        return cls(
            inputs.events,
            trained_items,
            catalogue,
            scale,
            event_examples(
                inputs.events,
                inputs.histories,
                inputs.items,
                inputs.reason_embeddings,
                catalogue,
                length=HISTORY_LENGTH,
                scale=scale,
            ),
            torch.from_numpy(inputs.events["liked"].to_numpy(writable=True)),
            {
                name: torch.from_numpy(np.flatnonzero(split == name))
                for name in ("train", "validation", "test")
            },
        )

    def config(self, variant: Variant, settings: RecommenderSettings) -> DINConfig:
        """Shape of a network for this data."""
        return DINConfig(
            variant=variant,
            items=len(self.trained_items),
            statistics=self.examples.statistics.shape[1],
            text_dim=self.catalogue.texts.shape[1],
            dim=settings.dim,
            experts=settings.experts,
            length=HISTORY_LENGTH,
        )

    def predictions(
        self, network: DIN, variant: Variant, number: int, device: str
    ) -> list[pl.DataFrame]:
        """Probabilities of the held-out events."""
        return [
            self.events[self.rows[split].numpy()].select(
                "event_id",
                pl.lit(variant).alias("variant"),
                pl.lit(number, dtype=pl.Int64).alias("seed"),
                "split",
                pl.Series(
                    "probability",
                    score(network, self.examples, self.catalogue, self.rows[split], device),
                ).cast(pl.Float64),
            )
            for split in ("validation", "test")
        ]

    def coverage(self) -> dict[str, int]:
        """Events with a reason, per split."""
        has_reason = self.examples.reason > 0
        return {name: int(has_reason[rows].sum()) for name, rows in self.rows.items()}


@dataclass(frozen=True)
class _Asked:
    """Liked events of a split whose rank is wanted, and what is proposed in their place."""

    queries: pl.DataFrame
    proposals: Proposals
    examples: Examples
    target: npt.NDArray[np.int64]
    retriever_ranks: Floats

    def ranks(self, probabilities: npt.NDArray[np.floating], weight: float) -> Floats:
        ordered = combined(probabilities, self.proposals, weight)
        return two_stage_ranks(self.proposals, ordered, self.target, self.retriever_ranks)


def _rank(
    networks: Mapping[tuple[Variant, int], DIN],
    data: TrainingData,
    inputs: Inputs,
    retrievers: Retrievers,
    settings: RecommenderSettings,
    seed: int,
    device: str,
) -> tuple[pl.DataFrame, float, dict[str, float]]:
    """Test ranks of every network, with the retriever weight that validation chose."""

    def ask(split: str) -> _Asked:
        queries = ranked_events(inputs.events, split, seed)
        proposals = propose(retrievers, inputs.events, queries, settings.candidates)
        histories = queries.select("event_id").join(
            inputs.histories, on="event_id", how="left", maintain_order="left"
        )
        examples = proposal_examples(
            proposals,
            queries,
            item_ids=retrievers.item_ids,
            log=inputs.events,
            items=inputs.items,
            histories=histories,
            catalogue=data.catalogue,
            length=HISTORY_LENGTH,
            scale=data.scale,
        )
        return _Asked(
            queries,
            proposals,
            examples,
            target_places(retrievers, queries),
            full_ranks(retrievers, "ease", inputs.events, queries),
        )

    def probabilities(asked: _Asked, network: DIN) -> npt.NDArray[np.floating]:
        rows = torch.arange(len(asked.examples))
        return score(network, asked.examples, data.catalogue, rows, device)

    asked = ask("validation")
    served = np.mean(
        [probabilities(asked, net) for (variant, _), net in networks.items() if variant == SERVED],
        axis=0,
    )
    gains = {
        weight: float(ndcg(asked.ranks(served, weight)).mean()) if asked.queries.height else 0.0
        for weight in RETRIEVER_WEIGHTS
    }
    weight = max(gains, key=lambda tried: gains[tried])
    asked = ask("test")
    ranks = pl.concat(
        asked.queries.select(
            "event_id",
            pl.lit(variant).alias("variant"),
            pl.lit(number, dtype=pl.Int64).alias("seed"),
            "split",
            pl.Series("rank", asked.ranks(probabilities(asked, network), weight)),
        )
        for (variant, number), network in networks.items()
    )
    return ranks, weight, {f"{tried:g}": gain for tried, gain in gains.items()}
