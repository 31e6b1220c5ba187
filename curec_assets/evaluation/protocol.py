"""The evaluation table: every recommender, metric and slice of the test events, with intervals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.core.seeds import random_generator
from curec_assets.evaluation import metrics
from curec_assets.evaluation.bootstrap import (
    Floats,
    Resamples,
    interval,
    weighted_auc,
    weighted_mean,
)

SLICES = {
    "all": "every test event",
    "with_reason": "test events that have a reason",
    "cold_user": "events of users without training events",
    "cold_item": "events of items without training events",
}
"""Name of a part of the test events → which they are."""
DIFFERENCES = (
    ("id_text", "id"),
    ("id_text_reason", "id_text"),
    ("numbers_reason", "numbers"),
    ("evidence", "best_peer"),
    ("whole", "evidence"),
    ("whole", "best_peer"),
    ("whole", "running_statistics"),
    ("lambdamart", "ease"),
    ("lambdamart", "ease_text"),
    ("linear_ranker", "ease"),
)
"""Pairs that are compared, where both were measured: first minus second."""

_Measure = Callable[[Floats, pl.DataFrame], Mapping[str, Floats]]
_RANKING = {"HR@10": metrics.hit, "NDCG@10": metrics.ndcg, "MRR": metrics.reciprocal}
SCHEMA = {
    "recommender": pl.String,
    "slice": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n_events": pl.Int64,
    "n_users": pl.Int64,
}


def sliced_events(events: pl.DataFrame, reasons: pl.DataFrame) -> pl.DataFrame:
    """Test events with a boolean column per slice of `SLICES`.

    `events`: `event_splits`; `reasons`: `event_id` of events that have a reason. Cold: without
    any event in the train split.
    """
    training = events.filter(pl.col("split") == "train")

    def cold(column: str) -> pl.Expr:
        return ~pl.col(column).is_in(training[column].unique().implode())

    return events.filter(pl.col("split") == "test").select(
        "event_id",
        "user_id",
        "liked",
        all=pl.lit(True),
        with_reason=pl.col("event_id").is_in(reasons["event_id"].implode()),
        cold_user=cold("user_id"),
        cold_item=cold("item_id"),
    )


def evaluate(
    events: pl.DataFrame,
    predictions: pl.DataFrame,
    ranks: pl.DataFrame,
    *,
    samples: int,
    seed: int,
    differences: Sequence[tuple[str, str]] = DIFFERENCES,
) -> pl.DataFrame:
    """Rows of `recommender_evaluation` (`SCHEMA`).

    `events`: see `sliced_events`; `predictions`: `event_id, recommender, seed, probability` of all
    test events; `ranks`: `event_id, recommender, seed, rank` of liked ones; `differences`: pairs
    that are compared where both were measured, first minus second. A metric
    that is undefined in a slice (no event, or only one outcome) is null. A row named "a - b" is the
    paired difference of the same resamples.
    """
    seeds = int(predictions["seed"].n_unique())
    rows: list[dict[str, object]] = []
    for name in SLICES:
        chosen = events.filter(pl.col(name)).with_columns(
            user=(pl.col("user_id").rank("dense") - 1).cast(pl.Int64)
        )
        resamples = Resamples.draw(
            random_generator(seed, "bootstrap", name),
            users=chosen["user_id"].n_unique(),
            seeds=seeds,
            samples=samples,
        )
        found = _Estimates(resamples)
        found.measure(chosen, predictions, "probability", _preference)
        found.measure(chosen, ranks, "rank", _ranking)
        rows += [{"slice": name, **row} for row in found.rows(differences)]
    return pl.DataFrame(rows, schema=SCHEMA).with_columns(
        pl.col("value", "low", "high").fill_nan(None)
    )


@dataclass
class _Estimates:
    """Estimates (samples + 1,) by recommender and metric, of one slice."""

    resamples: Resamples
    values: dict[tuple[str, str], Floats] = field(default_factory=dict)
    sizes: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def measure(
        self, events: pl.DataFrame, outputs: pl.DataFrame, column: str, measure: _Measure
    ) -> None:
        """Add the metrics of every recommender in `outputs`, averaged over its seeds."""
        for recommender in outputs["recommender"].unique(maintain_order=True):
            own = outputs.filter(pl.col("recommender") == recommender)
            each: dict[str, list[Floats]] = {}
            for number in own["seed"].unique().sort():
                joined = events.join(
                    own.filter(pl.col("seed") == number).select("event_id", column),
                    on="event_id",
                    maintain_order="left",
                )
                for metric, estimates in measure(self.resamples.users, joined).items():
                    each.setdefault(metric, []).append(estimates)
                size = joined.height, joined["user_id"].n_unique()
            for metric, found in each.items():
                self.values[recommender, metric] = self.resamples.over_seeds(np.stack(found))
                self.sizes[recommender, metric] = size

    def rows(self, differences: Sequence[tuple[str, str]]) -> Iterator[dict[str, object]]:
        """Every estimate, then every difference."""
        for (recommender, metric), estimates in self.values.items():
            yield self._row(recommender, metric, estimates, self.sizes[recommender, metric])
        for first, second in differences:
            for (recommender, metric), estimates in self.values.items():
                if recommender == first and (second, metric) in self.values:
                    yield self._row(
                        f"{first} - {second}",
                        metric,
                        estimates - self.values[second, metric],
                        self.sizes[first, metric],
                    )

    @staticmethod
    def _row(
        recommender: str, metric: str, estimates: Floats, size: tuple[int, int]
    ) -> dict[str, object]:
        found = interval(estimates)
        return {
            "recommender": recommender,
            "metric": metric,
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "n_events": size[0],
            "n_users": size[1],
        }


def _preference(users: Floats, events: pl.DataFrame) -> Mapping[str, Floats]:
    """AUC, GAUC, LogLoss of `events` (`user, liked, probability`)."""
    user, liked = events["user"].to_numpy(), events["liked"].to_numpy()
    scores = events["probability"].to_numpy()
    size = users.shape[1]
    aucs, weights = _user_aucs(events, size)
    losses = metrics.log_losses(liked, scores)
    return {
        "AUC": weighted_auc(users, user, liked, scores),
        "GAUC": weighted_mean(users, aucs * weights, weights),
        "LogLoss": weighted_mean(users, *_per_user(user, losses, size)),
        "ECE": _calibration_errors(users, user, liked, scores),
    }


def _calibration_errors(
    users: Floats, user: npt.NDArray[np.int64], liked: npt.NDArray[np.bool_], scores: Floats
) -> Floats:
    """(samples + 1,) expected calibration error, in bins of equal width."""
    bins = metrics.bin_of(scores)
    size = users.shape[1]
    excess = np.zeros(len(users))
    total = np.zeros(len(users))
    for number in range(int(bins.max(initial=-1)) + 1):
        own = bins == number
        gap = np.bincount(user[own], weights=liked[own] - scores[own], minlength=size)
        excess += np.abs(users @ gap)
        total += users @ np.bincount(user[own], minlength=size)
    return np.divide(excess, total, out=np.full(len(users), np.nan), where=total > 0)


def _ranking(users: Floats, events: pl.DataFrame) -> Mapping[str, Floats]:
    """HR@10, NDCG@10, MRR of `events` (`user, rank`)."""
    user, ranks = events["user"].to_numpy(), events["rank"].to_numpy().astype(np.float64)
    return {
        name: weighted_mean(users, *_per_user(user, metric(ranks), users.shape[1]))
        for name, metric in _RANKING.items()
    }


def _per_user(user: npt.NDArray[np.int64], values: Floats, size: int) -> tuple[Floats, Floats]:
    """(users,) sums and counts."""
    return (
        np.bincount(user, weights=values, minlength=size).astype(np.float64),
        np.bincount(user, minlength=size).astype(np.float64),
    )


def _user_aucs(events: pl.DataFrame, size: int) -> tuple[Floats, Floats]:
    """(users,) AUC within the user, and number of events; both 0 unless both outcomes occur."""
    own = (
        events.with_columns(rank=pl.col("probability").rank("average").over("user"))
        .group_by("user")
        .agg(
            wins=pl.col("rank").filter("liked").sum(),
            likes=pl.col("liked").sum().cast(pl.Float64),
            count=pl.len().cast(pl.Float64),
        )
        .with_columns(pairs=pl.col("likes") * (pl.col("count") - pl.col("likes")))
        .filter(pl.col("pairs") > 0)
        .with_columns(
            auc=(pl.col("wins") - pl.col("likes") * (pl.col("likes") + 1) / 2) / pl.col("pairs")
        )
    )
    aucs, weights = np.zeros(size), np.zeros(size)
    aucs[own["user"].to_numpy()] = own["auc"].to_numpy()
    weights[own["user"].to_numpy()] = own["count"].to_numpy()
    return aucs, weights
