"""Building the artifact `recommender_ranking`: the learned ranker, and where it ranks likes."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curec_assets.core.seeds import derive, random_generator
from curec_assets.evaluation.metrics import hit, ndcg
from curec_assets.recommender.two_stage import Store, TwoStage
from curec_assets.retrieval.candidates import ranked_events
from curec_assets.retrieval.features import FEATURES
from curec_assets.retrieval.item_tables import ItemTables
from curec_assets.retrieval.list_models import fit_models
from curec_assets.settings import RankingSettings

VARIANTS = {"lightgbm": "lambdamart", "linear": "linear_ranker"}
"""`settings.model` → name in the evaluation."""


def build_ranking(
    folder: Path,
    events: pl.DataFrame,
    items: pl.DataFrame,
    item_embeddings: pl.DataFrame,
    *,
    settings: RankingSettings,
    seed: int,
    log: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any]:
    """Learn from likes of the train split, stop on validation, rank validation and test likes.

    Files: `ranks.parquet` (`event_id, variant, seed, split, rank`) of both kinds of model, and what
    `TwoStage.load` reads: the chosen model, and tables that know all events. Returns the metrics of
    the manifest.
    """
    started = time.monotonic()
    store = Store.make(events, items, item_embeddings, settings)
    training = events.filter(pl.col("split") == "train").sort("timestamp", "event_id")
    every = max(1, int(training.height * settings.refit_share))
    late = training[int(training.height * settings.learn_from) :].filter("liked")
    chosen = _sample(late, settings.contexts, seed, "contexts")
    lists = store.lists(chosen, every, seed, settings.negatives)
    watched = _sample(
        events.filter((pl.col("split") == "validation") & pl.col("liked")),
        settings.validation_contexts,
        seed,
        "validation contexts",
    )
    validation = store.lists(watched, every, seed)
    log(f"{len(lists)} of {chosen.height} likes teach, after {time.monotonic() - started:.0f} s")
    models = fit_models(FEATURES, lists, validation, settings, derive(seed, "ranker"))
    log(f"both rankers learned after {time.monotonic() - started:.0f} s")
    ranks, quality = [], {}
    for split in ("validation", "test"):
        queries = ranked_events(events, split, settings.ranked_events, seed)
        found = store.ranks(queries, models, store.refitted(store.ask(queries)[0], every))
        for kind, rank in found.items():
            named = {"variant": pl.lit(VARIANTS[kind]), "seed": pl.lit(0, dtype=pl.Int64)}
            own = queries.select("event_id", "split", **named, rank=pl.Series(rank))
            ranks.append(own.select("event_id", "variant", "seed", "split", "rank"))
            if split == "validation":
                mean = {"hit": hit(rank), "ndcg": ndcg(rank)}
                quality[VARIANTS[kind]] = {
                    name: float(each.mean()) if each.size else 0.0 for name, each in mean.items()
                }
    pl.concat(ranks).write_parquet(folder / "ranks.parquet")
    log(f"validation: {quality}; all done after {time.monotonic() - started:.0f} s")
    served = models[settings.model]
    end = int(store.timeline.times.max(initial=-1)) + 1
    TwoStage(store, ItemTables.fit(store.timeline, end, settings), served).save(folder)
    return {
        "model": settings.model,
        "lists": len(lists),
        "proposed": len(lists) / max(chosen.height, 1),
        "validation": quality,
        "weights": dict(served.weights()),
    }


def _sample(events: pl.DataFrame, count: int, seed: int, name: str) -> pl.DataFrame:
    """At most `count` of the events, in time order."""
    ordered = events.sort("timestamp", "event_id")
    if ordered.height <= count:
        return ordered
    lots = random_generator(seed, "ranking", name).permutation(ordered.height)[:count]
    return ordered[np.sort(lots)]
