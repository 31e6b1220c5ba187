"""Building the artifact `recommender`: every part alone, reasons on top, and the blend."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.core.seeds import derive
from curec_assets.evaluation import metrics
from curec_assets.evidence.model import blend
from curec_assets.recommender.dataset import EventTables, TrainingData
from curec_assets.recommender.din import DIN, VARIANTS, DINConfig, Variant
from curec_assets.recommender.ranker import Ranker
from curec_assets.recommender.reason_stage import ReasonReader, Reasons, ReasonStage
from curec_assets.recommender.statistics import (
    Smoothing,
    item_attributes,
    running_statistics,
)
from curec_assets.recommender.tabular import Floats, Rows, TabularParts, text_cosine
from curec_assets.recommender.training import score, train
from curec_assets.settings import EvidenceSettings, RecommenderSettings

WITH_REASONS = {"id_text_reason": "id_text", "numbers_reason": "numbers"}
"""Rung → the rung that it adds reasons to."""
MEMBERS = ("statistics", "id_text_reason", "evidence", "numbers_reason", "mlp")
"""What `whole` blends. Without a reason, the rungs with reasons are those without."""
_CLIP = 1e-6


def event_rows(
    tables: EventTables, evidence: pl.DataFrame, settings: RecommenderSettings
) -> tuple[Rows, Floats]:
    """Every event as numbers, and (events,) its probability by the evidence model, NaN where none.

    `evidence`: event_id, the evidence numbers, probability.
    """
    events = tables.events

    def in_order(rows: pl.DataFrame) -> pl.DataFrame:
        asked = events.select("event_id")
        return asked.join(rows, on="event_id", how="left", maintain_order="left")

    found = in_order(evidence)
    statistics = running_statistics(
        events,
        item_attributes(tables.items),
        events,
        Smoothing(settings.smoothing, settings.recent_half_life),
    )
    histories = in_order(tables.histories).with_columns(
        pl.col("item_ids", "likes").list.tail(settings.history_length)
    )
    cosine = text_cosine(events["item_id"], histories, tables.item_embeddings)
    probability = found["probability"].cast(pl.Float64)
    return (
        Rows.make(found, statistics, cosine),
        probability.fill_null(float("nan")).to_numpy(),
    )


def build_recommender(
    folder: Path,
    data: TrainingData,
    rows: Rows,
    evidence: npt.NDArray[np.float64],
    reasons: Reasons,
    *,
    settings: RecommenderSettings,
    evidence_settings: EvidenceSettings,
    seed: int,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any]:
    """Train, choose on validation, then predict what was held out.

    `rows`: numbers of each event; `evidence`: (events,) probability by the evidence model, NaN
    where it has none. Files: see `Ranker`, `TabularParts`; `blend.json`; `predictions.parquet`
    (`event_id, variant, seed, split, probability`) for validation and test; `log_odds.parquet`
    (`event_id`, and a column for each part that reasons are added to) for every event. Returns the
    metrics of the manifest.
    """
    ranker, curves = train_networks(data, settings=settings, seed=seed, device=device, log=log)
    ranker.save(folder)
    liked = data.liked.numpy().astype(np.float64)
    masks = {
        name: (data.events["split"] == name).to_numpy() for name in ("train", "validation", "test")
    }
    tabular = TabularParts.fit(
        rows,
        liked,
        masks["train"],
        masks["validation"],
        evidence=evidence_settings,
        settings=settings,
        seed=seed,
    )
    tabular.save(folder / "tabular")
    log(f"boosted trees: {tabular.rounds}")
    seeds = network_log_odds(ranker, data, device)
    parts: dict[str, Floats] = {
        **{
            variant: np.mean([seeds[variant, n] for n in range(settings.seeds)], axis=0)
            for variant in VARIANTS
        },
        **tabular.log_odds(rows),
        "evidence": logit(np.where(np.isnan(evidence), liked[masks["train"]].mean(), evidence)),
    }
    data.events.select(
        "event_id", *(pl.Series(name, parts[name]) for name in WITH_REASONS.values())
    ).write_parquet(folder / "log_odds.parquet")
    stages = fit_stages(parts, reasons, masks["validation"], liked, settings, seed)
    for name, with_reasons in stages.items():
        parts[name] = with_reasons(parts[WITH_REASONS[name]])
    chosen = masks["validation"]
    weights, offset = blend(
        np.column_stack([parts[name][chosen] for name in MEMBERS]), liked[chosen]
    )
    parts["whole"] = np.column_stack([parts[name] for name in MEMBERS]) @ weights + offset
    (folder / "blend.json").write_text(
        json.dumps({"weights": dict(zip(MEMBERS, weights, strict=True)), "offset": offset}),
        encoding="utf-8",
    )
    held_out = ~masks["train"]
    each = {(name, 0): values for name, values in parts.items() if name not in VARIANTS}
    for (variant, number), values in seeds.items():
        each[variant, number] = values
        if variant == "id_text":
            each["id_text_reason", number] = stages["id_text_reason"](values)
    pl.concat(
        data.events.filter(held_out).select(
            "event_id",
            pl.lit(name).alias("variant"),
            pl.lit(number, dtype=pl.Int64).alias("seed"),
            "split",
            pl.Series("probability", to_probability(values[held_out])),
        )
        for (name, number), values in sorted(each.items())
        if name != "statistics"  # reported among the baselines, as `running_statistics`
    ).write_parquet(folder / "predictions.parquet")
    has_reason = np.isin(np.arange(len(liked)), reasons.events)
    probability = to_probability(parts["whole"][chosen])
    return {
        "curves": curves,
        "rounds": tabular.rounds,
        "blend": dict(zip(MEMBERS, weights.tolist(), strict=True)),
        "validation": {
            name: None if np.isnan(area) else area
            for name, values in parts.items()
            for area in (metrics.auc(liked[chosen] > 0.5, values[chosen]),)
        },
        "reliability": metrics.reliability(liked[chosen] > 0.5, probability),
        "events_with_reason": {name: int(has_reason[mask].sum()) for name, mask in masks.items()},
    }


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
    )


def network_log_odds(
    ranker: Ranker, data: TrainingData, device: str = "cpu"
) -> dict[tuple[Variant, int], Floats]:
    """(variant, seed number) → (events,) log-odds of every event."""
    import torch

    rows = torch.arange(len(data.examples))
    return {
        key: logit(
            score(network.to(device), data.examples, data.item_table, rows, device).astype(
                np.float64
            )
        )
        for key, network in ranker.networks.items()
    }


def fit_stages(
    parts: Mapping[str, Floats],
    reasons: Reasons,
    may_fit: npt.NDArray[np.bool_],
    liked: Floats,
    settings: RecommenderSettings,
    seed: int,
) -> Mapping[str, Callable[[Floats], Floats]]:
    """Rung → what makes its log-odds of those of a first stage; both (events,).

    `may_fit`: (events,) which may be fitted on; the first stages have not been.
    """
    if not len(reasons.events):
        return dict.fromkeys(WITH_REASONS, np.copy)
    read = ReasonReader.fit(reasons, settings, derive(seed, "reason components")).read(reasons)
    fitted = may_fit[reasons.events]
    own = reasons.events[fitted]
    return {
        name: partial(
            ReasonStage.fit(
                read[fitted], parts[base][own], liked[own], settings.reason_penalty
            ).with_reasons,
            reasons=reasons,
            read=read,
        )
        for name, base in WITH_REASONS.items()
    }


def logit(probability: Floats) -> Floats:
    """Log-odds, of probabilities kept inside (0, 1)."""
    clipped = np.clip(probability, _CLIP, 1 - _CLIP)
    found: Floats = np.log(clipped / (1 - clipped))
    return found


def to_probability(log_odds: Floats) -> Floats:
    """The inverse of `logit`."""
    found: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    return found
