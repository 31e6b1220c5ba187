"""The rungs that are recommenders: each part alone, and reasons of each rung added to two."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.home import Home
from benchmarks.ladder.texts import Written
from benchmarks.recbole_din import DEFAULT_HIDDEN, PYTHON, RecBole, write_atomic_files
from curec_assets.recommender.build import (
    WITH_REASONS,
    build_recommender,
    event_rows,
    fit_stages,
    to_probability,
)
from curec_assets.recommender.dataset import EventTables, TrainingData
from curec_assets.recommender.reason_stage import Reasons
from curec_assets.reward.texts import Encoder, Text, embed

_TABLES = ("event_splits", "items", "item_embeddings")
RECBOLE = "recbole_din"
"""Name of RecBole's DIN among the recommenders."""
NO_PEERS = pl.DataFrame(
    schema={
        "event_id": pl.String,
        "recommender": pl.String,
        "seed": pl.Int64,
        "probability": pl.Float64,
    }
)
"""Predictions of none."""


def build_parts(home: Home, folder: Path) -> None:
    """Every part of the recommender, without a single reason, into the new `folder`."""
    profile = home.profile
    settings = profile.recommender
    tables = EventTables.make(settings, *(home.warehouse.read(name) for name in _TABLES))
    rows, probability = event_rows(
        tables,
        home.warehouse.read("evidence_numbers").join(
            home.warehouse.read("event_evidence", ["event_id", "probability"]), on="event_id"
        ),
        settings,
    )
    build_recommender(
        folder,
        TrainingData.make(tables, settings),
        rows,
        probability,
        Reasons(np.zeros(0, np.int64), np.zeros((0, 1)), np.zeros(0)),
        settings=settings,
        evidence_settings=profile.evidence,
        seed=profile.seed,
        log=lambda said: print(f"        {said}", flush=True),
    )


def by_recbole(home: Home, folder: Path) -> pl.DataFrame:
    """Predictions of test events by RecBole's DIN, layers and optimiser as they come, on the rows
    and histories that ours reads: a peer.
    """
    settings = home.profile.recommender
    tables = EventTables.make(settings, *(home.warehouse.read(name) for name in _TABLES))
    write_atomic_files(tables, settings, folder)
    found = []
    with RecBole.started(PYTHON, folder, settings, DEFAULT_HIDDEN) as recbole:
        for seed in range(settings.seeds):
            places, probabilities = recbole.predictions(seed)
            found.append(
                tables.events[places].select(
                    "event_id",
                    recommender=pl.lit(RECBOLE),
                    seed=pl.lit(seed, dtype=pl.Int64),
                    probability=pl.Series(probabilities),
                )
            )
    return pl.concat(found)


def with_texts(
    home: Home, folder: Path, written: Sequence[Written], encoder: Encoder
) -> pl.DataFrame:
    """Predictions (event_id, recommender, seed, probability) of test events that have reasons.

    For each rung of texts, `id_text + RUNG` and `numbers + RUNG`; and the two without, on the same
    events. The second stage is fitted on the rung's reasons of validation events.
    """
    log_odds = pl.read_parquet(folder / "log_odds.parquet")
    events = home.warehouse.read("event_splits").join(
        log_odds, on="event_id", maintain_order="left"
    )
    liked = events["liked"].to_numpy().astype(np.float64)
    parts = {name: events[name].to_numpy() for name in WITH_REASONS.values()}
    may_fit = (events["split"] == "validation").to_numpy()
    is_test = (events["split"] == "test").to_numpy()
    found: list[pl.DataFrame] = []
    for rung in written:
        reasons = Reasons.of(events, _embeddings(rung, encoder, home))
        stages = fit_stages(
            parts, reasons, may_fit, liked, home.profile.recommender, home.profile.seed
        )
        test = reasons.events[is_test[reasons.events]]
        found += [
            _predictions(events, test, f"{base} + {rung.rung}", stages[name](parts[base]))
            for name, base in WITH_REASONS.items()
        ]
        if rung is written[0]:
            found += [_predictions(events, test, base, values) for base, values in parts.items()]
    return pl.concat(found)


def measured(
    evaluation: pl.DataFrame, slice_: str = "all"
) -> Mapping[tuple[str, str], dict[str, float]]:
    """(recommender, metric) → value, low, high on a slice of the test events."""
    return {
        (row["recommender"], row["metric"]): row
        for row in evaluation.filter(slice=slice_).drop_nulls("value").iter_rows(named=True)
    }


def _embeddings(rung: Written, encoder: Encoder, home: Home) -> pl.DataFrame:
    settings = home.profile.encoder
    reasons = rung.reasons.filter(pl.col("why").str.len_chars() > 0)
    texts = [Text(*both) for both in reasons["verdict", "why"].rows()]
    vectors = embed(encoder, texts, source=settings.source, batch_size=settings.batch_size)
    half = vectors.shape[1] // 2
    dtype = pl.Array(pl.Float32, half)
    return reasons.select("event_id", "level").with_columns(
        verdict_embedding=pl.Series(vectors[:, :half], dtype=dtype),
        why_embedding=pl.Series(vectors[:, half:], dtype=dtype),
    )


def _predictions(
    events: pl.DataFrame, rows: np.ndarray, name: str, log_odds: np.ndarray
) -> pl.DataFrame:
    return events[rows].select(
        "event_id",
        recommender=pl.lit(name),
        seed=pl.lit(0, dtype=pl.Int64),
        probability=pl.Series(to_probability(log_odds[rows])),
    )
