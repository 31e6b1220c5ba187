"""How good the stored reasons are, without a language model judging them.

USR (unique sentence ratio): distinct reasons / reasons. distinct-n: distinct word n-grams / word
n-grams, over all reasons together. Verdict agreement: share of reasons whose verdict equals the
outcome, which the writer never saw; compare it with always saying the commoner outcome.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from curec_assets.core.seeds import random_generator
from curec_assets.evaluation.bootstrap import Interval, Resamples, interval, weighted_mean

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")


@dataclass(frozen=True)
class Measured:
    """One number about the reasons."""

    name: str
    meaning: str
    interval: Interval
    """Over users; low = high = value where no interval is drawn."""


def reason_quality(
    reasons: pl.DataFrame, outcomes: pl.DataFrame, *, samples: int, seed: int
) -> list[Measured]:
    """What is measured of `recommendation_reasons`; empty when there are no reasons.

    `outcomes`: `event_id, liked`.
    """
    if reasons.is_empty():
        return []
    judged = reasons.join(outcomes, on="event_id", how="left", maintain_order="left").with_columns(
        user=(pl.col("user_id").rank("dense") - 1).cast(pl.Int64),
        words=pl.Series([len(_words(text)) for text in reasons["reason"]]),
    )
    said_like = pl.col("verdict") == "like"
    commoner = pl.col("liked") == (pl.col("liked").mean() >= 0.5)
    shares = (
        ("grounded", "share that names nothing outside its prompt", pl.col("grounded")),
        (
            "verdict agreement",
            "share whose verdict equals the outcome",
            said_like == pl.col("liked"),
        ),
        ("commoner outcome", "agreement of always saying the commoner outcome", commoner),
        ("composer's", "share written by the composer after failed attempts", _is_composer()),
        ("words", "mean length in words", pl.col("words")),
    )
    resamples = Resamples.draw(
        random_generator(seed, "reason quality"),
        users=judged["user"].n_unique(),
        seeds=1,
        samples=samples,
    )
    measured = [
        Measured(name, meaning, _mean(judged, expression, resamples))
        for name, meaning, expression in shares
    ]
    texts = reasons["reason"].to_list()
    return [
        *measured,
        Measured("USR", "distinct reasons / reasons", _exactly(len(set(texts)) / len(texts))),
        Measured("distinct-1", "distinct words / words", _exactly(distinct(texts, 1))),
        Measured("distinct-2", "distinct word pairs / word pairs", _exactly(distinct(texts, 2))),
    ]


def distinct(texts: list[str], n: int) -> float:
    """Distinct word n-grams / word n-grams over all texts; 0 when there are none."""
    grams = [gram for text in texts for gram in _ngrams(_words(text), n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _ngrams(words: list[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(n)), strict=False)


def _is_composer() -> pl.Expr:
    return pl.col("source") == "composer"


def _exactly(value: float) -> Interval:
    return Interval(value, value, value)


def _mean(judged: pl.DataFrame, expression: pl.Expr, resamples: Resamples) -> Interval:
    totals = (
        judged.select("user", value=expression.cast(pl.Float64))
        .drop_nulls("value")
        .group_by("user")
        .agg(pl.col("value").sum(), count=pl.len())
    )
    users = totals["user"].to_numpy()
    sums, counts = np.zeros(resamples.users.shape[1]), np.zeros(resamples.users.shape[1])
    sums[users], counts[users] = totals["value"].to_numpy(), totals["count"].to_numpy()
    return interval(weighted_mean(resamples.users, sums, counts))
