"""Building the artifact `recommender`: every variant and seed trained, then its predictions."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from curec_assets.core.seeds import derive
from curec_assets.recommender.dataset import TrainingData
from curec_assets.recommender.din import DIN, VARIANTS, DINConfig, Variant
from curec_assets.recommender.ranker import Ranker
from curec_assets.recommender.training import score, train
from curec_assets.settings import RecommenderSettings


def build_recommender(
    folder: Path,
    data: TrainingData,
    *,
    settings: RecommenderSettings,
    seed: int,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any]:
    """Train, choose each network's epoch on validation, then predict what was held out.

    Files: see `Ranker`; `predictions.parquet` (`event_id, variant, seed, split, probability`) for
    validation and test. Returns the metrics of the manifest.
    """
    ranker, curves = train_networks(data, settings=settings, seed=seed, device=device, log=log)
    ranker.save(folder)
    predict_held_out(ranker, data, device).write_parquet(folder / "predictions.parquet")
    return {"curves": curves, "events_with_reason": data.coverage()}


def train_networks(
    data: TrainingData,
    *,
    settings: RecommenderSettings,
    seed: int,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> tuple[Ranker, dict[str, Any]]:
    """Every variant and seed, each at its best epoch, and the curves by "variant-seed"."""
    networks: dict[tuple[Variant, int], DIN] = {}
    curves: dict[str, Any] = {}
    for variant in VARIANTS:
        for number in range(settings.seeds):
            trained = train(
                network_config(variant, data, settings),
                data.examples,
                data.item_table,
                data.liked,
                train_rows=data.rows["train"],
                validation_rows=data.rows["validation"],
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                weight_decay=settings.weight_decay,
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
    return Ranker(networks, data.trained_items, data.form), curves


def network_config(
    variant: Variant, data: TrainingData, settings: RecommenderSettings
) -> DINConfig:
    """Shape of a network for this data."""
    return DINConfig(
        variant=variant,
        items=len(data.trained_items),
        statistics=data.examples.statistics.shape[1],
        text_dim=data.item_table.texts.shape[1],
        dim=settings.dim,
        experts=settings.experts,
        length=data.form.length,
        dropout=settings.dropout,
        id_dropout=settings.id_dropout,
        reason_dropout=settings.reason_dropout,
    )


def predict_held_out(ranker: Ranker, data: TrainingData, device: str = "cpu") -> pl.DataFrame:
    """`event_id, variant, seed, split, probability` of the validation and test events."""
    return pl.concat(
        data.events[data.rows[split].numpy()].select(
            "event_id",
            pl.lit(variant).alias("variant"),
            pl.lit(number, dtype=pl.Int64).alias("seed"),
            "split",
            pl.Series(
                "probability",
                score(network.to(device), data.examples, data.item_table, data.rows[split], device),
            ).cast(pl.Float64),
        )
        for (variant, number), network in ranker.networks.items()
        for split in ("validation", "test")
    )
