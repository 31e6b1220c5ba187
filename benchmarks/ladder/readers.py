"""What a plain reader gets out of each rung's texts: it sees the reason alone.

One reader reads all rungs. It learnt from composed reasons, of other training events, what verdicts
and arguments are worth; its log-odds of a rung's reasons are Platt-scaled on those of training and
validation events. A reader of its own for each rung, fitted on a few hundred reasons, says less,
and rungs would differ by whose reader had more luck. Nothing is chosen here; test is read once.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from benchmarks.home import Home
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
from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.selection import draw, with_evidence
from curec_assets.reward.composing import composed_reasons
from curec_assets.reward.reader import PlainReader, fit_reader
from curec_assets.reward.texts import Encoder, Text, embed
from curec_assets.settings import Profile

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_COMPOSED = 4_000
"""Reasons that the reader learns from, at most."""
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
    """LogLoss of the model's own expected level, Platt-scaled like the reader; NaN where none was
    told."""
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


def taught(home: Home, encoder: Encoder, apart: pl.Series) -> PlainReader:
    """The reader of all rungs. `apart`: ids of their events, from which it does not learn."""
    evidence, profile = home.warehouse.read("event_evidence"), home.profile
    training = home.warehouse.read("event_splits").filter(
        pl.col("split") == "train", ~pl.col("event_id").is_in(apart.implode())
    )
    drawn = draw(
        with_evidence(training["event_id"], evidence),
        _COMPOSED,
        seed=profile.seed,
        purpose="ladder reader",
    )
    events = training.filter(pl.col("event_id").is_in(drawn))
    catalogue = Catalogue(home.warehouse.read("items"))
    facts = facts_by_event(events, evidence, catalogue, profile.explanation)
    return fit_reader(
        _embedded(composed_reasons(events, evidence, facts, profile.seed), encoder, profile),
        events["liked"].to_numpy(),
        ridge=profile.reward.reader_ridge,
        why_ridge=profile.reward.reader_why_ridge,
        item_rates={},
    )


def read(
    written: Written, reader: PlainReader, encoder: Encoder, profile: Profile
) -> Reading | None:
    """None where a rung has no test reasons, or no others, of both outcomes."""
    reasons = written.reasons
    fitted = (reasons["split"] != "test").to_numpy()
    test = (reasons["split"] == "test").to_numpy()
    liked = reasons["liked"].to_numpy()
    if any(liked[part].all() or not liked[part].any() for part in (fitted, test)):
        return None
    logits = _scaled(reader.logits(_embedded(reasons, encoder, profile)), liked, fitted)[test]
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


def _embedded(reasons: pl.DataFrame, encoder: Encoder, profile: Profile) -> NDArray[np.float32]:
    texts = [Text(verdict or "", why or "") for verdict, why in reasons["verdict", "why"].rows()]
    settings = profile.encoder
    return embed(encoder, texts, source=settings.source, batch_size=settings.batch_size)


def _scaled(values: Floats, liked: Mask, fitted: Mask) -> Floats:
    """Log-odds of a like from one number of each event, by Platt scaling on some."""
    column = values.reshape(-1, 1)
    scaled: Floats = (
        LogisticRegression(C=1e6).fit(column[fitted], liked[fitted]).decision_function(column)
    )
    return scaled


def _platt(expected: pl.Series, liked: Mask, fitted: Mask, test: Mask) -> float:
    if expected.null_count():
        return float("nan")
    log_odds = _scaled(expected.to_numpy(), liked, fitted)[test]
    return float(log_losses(liked[test], 1.0 / (1.0 + np.exp(-log_odds))).mean())


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
