"""What a plain reader gets out of each rung's texts: it sees the reason alone.

The reader of a rung is fitted on that rung's reasons of training and validation events, its penalty
is the profile's; nothing is chosen, and test is read once.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from benchmarks.ladder.texts import Written
from curec_assets.core.seeds import random_generator
from curec_assets.evaluation.bootstrap import (
    Interval,
    Resamples,
    interval,
    weighted_auc,
    weighted_mean,
)
from curec_assets.evaluation.metrics import (
    auc,
    ece_if_calibrated,
    expected_calibration_error,
    log_losses,
)
from curec_assets.reward.reader import fit_reader
from curec_assets.reward.texts import Encoder, Text, embed
from curec_assets.settings import Profile

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SHUFFLES = 20


@dataclass(frozen=True)
class Reading:
    """A rung as its plain reader judges it, on test events."""

    rung: str
    events: int
    auc: Interval
    aucs: Floats
    """(samples + 1,) of the same resamples of users for every rung with these events."""
    shuffled: Interval
    """The same reasons, dealt to other events; the mean over `_SHUFFLES` deals."""
    log_loss: Interval
    ece: float
    """Expected calibration error of the reader's probability."""
    least_ece: float
    """What it would be, in the mean, if these probabilities were right."""
    platt: float
    """LogLoss of the model's own expected level, Platt-scaled on what the reader is fitted on; NaN
    where the engine told none, or all had one outcome."""
    evidence: float
    """AUC of the evidence model on the same test events."""
    spearman: float
    """Of the written level with the evidence model's probability; NaN where only one is written."""
    within_one: float
    """Share of levels at most one from the evidence model's."""
    levels: int
    """How many of the nine are used."""
    grounded: float
    composed: float


def read(written: Written, encoder: Encoder, profile: Profile) -> Reading | None:
    """None where a rung has no training reasons or no test reasons of both outcomes."""
    reasons = written.reasons
    texts = [Text(verdict or "", why or "") for verdict, why in reasons["verdict", "why"].rows()]
    embeddings = embed(
        encoder, texts, source=profile.encoder.source, batch_size=profile.encoder.batch_size
    )
    fitted = (reasons["split"] != "test").to_numpy()
    test = (reasons["split"] == "test").to_numpy()
    liked = reasons["liked"].to_numpy()
    if not fitted.any() or liked[test].all() or not liked[test].any():
        return None
    reader = fit_reader(
        embeddings[fitted],
        liked[fitted],
        ridge=profile.reward.reader_ridge,
        why_ridge=profile.reward.reader_why_ridge,
        item_rates={},
    )
    logits = reader.logits(embeddings[test])
    own = reasons.filter(pl.Series(test))
    users = (own["user_id"].rank("dense") - 1).cast(pl.Int64).to_numpy()
    resamples = Resamples.draw(
        random_generator(profile.seed, "ladder readers"),
        users=int(users.max()) + 1,
        seeds=1,
        samples=profile.recommender.bootstrap_samples,
    ).users
    rng = random_generator(profile.seed, "ladder shuffle")
    shuffled = [
        weighted_auc(resamples, users, liked[test], rng.permutation(logits))
        for _ in range(_SHUFFLES)
    ]
    aucs = weighted_auc(resamples, users, liked[test], logits)
    probabilities = 1.0 / (1.0 + np.exp(-logits))
    losses = log_losses(liked[test], probabilities)
    return Reading(
        rung=written.rung,
        events=own.height,
        auc=interval(aucs),
        aucs=aucs,
        shuffled=interval(np.mean(shuffled, axis=0)),
        log_loss=interval(weighted_mean(resamples, *_per_user(users, losses, resamples.shape[1]))),
        ece=expected_calibration_error(liked[test], probabilities),
        least_ece=ece_if_calibrated(probabilities, random_generator(profile.seed, "ladder ece")),
        platt=_platt(reasons["expected_level"], liked, fitted, test),
        evidence=auc(liked[test], own["probability"].to_numpy()),
        spearman=_spearman(own["level"], own["probability"]),
        within_one=_share((own["level"] - own["evidence_level"]).abs() <= 1),
        levels=own["level"].n_unique(),
        grounded=_share(own["grounded"]),
        composed=_share(own["source"] == "composer"),
    )


def _platt(expected: pl.Series, liked: NDArray[np.bool_], fitted: Mask, test: Mask) -> float:
    if expected.null_count() or liked[fitted].all() or not liked[fitted].any():
        return float("nan")
    levels = expected.to_numpy().reshape(-1, 1)
    scaled = LogisticRegression(C=1e6).fit(levels[fitted], liked[fitted])
    return float(log_losses(liked[test], scaled.predict_proba(levels[test])[:, 1]).mean())


def _spearman(level: pl.Series, probability: pl.Series) -> float:
    if level.n_unique() < 2:
        return float("nan")
    return float(spearmanr(level, probability).statistic)


def _share(holds: pl.Series) -> float:
    """A null, such as a completion without a level, does not hold."""
    return float(holds.fill_null(value=False).to_numpy().mean())


def _per_user(users: NDArray[np.int64], values: Floats, size: int) -> tuple[Floats, Floats]:
    return (
        np.bincount(users, weights=values, minlength=size).astype(np.float64),
        np.bincount(users, minlength=size).astype(np.float64),
    )
