"""Building the artifact `evidence_model`: models, forward predictions, and what they are worth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curec_assets.evaluation import metrics
from curec_assets.evidence import schema
from curec_assets.evidence.crossfit import ForwardModels, time_blocks
from curec_assets.evidence.event_log import Floats
from curec_assets.evidence.model import EvidenceModel, matrix, to_probability
from curec_assets.settings import EvidenceSettings

_EXPLAINED = 2_000  # validation events whose contributions are averaged


def build_evidence_model(
    folder: Path,
    event_splits: pl.DataFrame,
    numbers: pl.DataFrame,
    *,
    settings: EvidenceSettings,
    seed: int,
) -> Mapping[str, Any]:
    """Files: a folder a model, and `predictions.parquet` (`schema.PREDICTIONS`)."""
    events = event_splits.with_columns(block=time_blocks(event_splits, settings.time_blocks))
    rows = aligned(numbers, events)
    models = ForwardModels.fit(rows, events, settings, seed)
    models.save(folder)
    probabilities = models.score(rows, events["block"])
    events = events.with_columns(probability=pl.Series(probabilities).fill_nan(None))
    events.select(list(schema.PREDICTIONS)).write_parquet(folder / "predictions.parquet")
    return {
        **_worth(events),
        "parts": _parts(models.final, rows, events),
        "weights": dict(
            zip(models.final.parts, models.final.weights.tolist(), strict=True),
            offset=models.final.offset,
        ),
        "contributions": _mean_contributions(models.final, rows, events),
    }


def aligned(numbers: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The numbers of `events`, in their order."""
    return events.select("event_id").join(numbers, on="event_id", how="left", maintain_order="left")


def worth(events: pl.DataFrame) -> dict[str, float | None]:
    """AUC, LogLoss, GAUC and ECE of events (user_id, liked, probability); None where undefined."""
    liked, probability = events["liked"].to_numpy(), events["probability"].to_numpy()
    if not len(liked):
        return dict.fromkeys(("AUC", "LogLoss", "GAUC", "ECE"))
    found = {
        "AUC": metrics.auc(liked, probability),
        "LogLoss": float(metrics.log_losses(liked, probability).mean()),
        "GAUC": metrics.gauc(events["user_id"].to_numpy(), liked, probability),
        "ECE": metrics.expected_calibration_error(liked, probability),
    }
    return {name: None if np.isnan(value) else value for name, value in found.items()}


def _worth(events: pl.DataFrame) -> dict[str, Any]:
    scored = {
        "forward": events.filter(pl.col("block") > 0),
        "validation": events.filter(pl.col("split") == "validation"),
        "test": events.filter(pl.col("split") == "test"),
    }
    return {name: worth(rows) for name, rows in scored.items()} | {
        "reliability": {
            name: metrics.reliability(rows["liked"].to_numpy(), rows["probability"].to_numpy())
            for name, rows in scored.items()
            if name != "forward"
        }
    }


def _parts(
    model: EvidenceModel, numbers: pl.DataFrame, events: pl.DataFrame
) -> dict[str, dict[str, Any]]:
    """Each part alone, uncalibrated."""
    found: dict[str, dict[str, Any]] = {}
    for split in ("validation", "test"):
        chosen = events.filter(pl.col("split") == split)
        values = matrix(numbers.filter(events["split"] == split))
        for name, part in model.parts.items():
            alone = chosen.with_columns(
                probability=pl.Series(to_probability(part.log_odds(values)))
            )
            found.setdefault(name, {})[split] = worth(alone)
    return found


def _mean_contributions(
    model: EvidenceModel, numbers: pl.DataFrame, events: pl.DataFrame
) -> dict[str, float]:
    """Kind of fact → mean |contribution| on validation events."""
    chosen = numbers.filter(events["split"] == "validation")
    chosen = chosen.gather_every(max(1, chosen.height // _EXPLAINED))
    each: Floats = np.abs(model.contributions(chosen)).mean(axis=0)
    return dict(zip(schema.GROUPS, each.tolist(), strict=True))
