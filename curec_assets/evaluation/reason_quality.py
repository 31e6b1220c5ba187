"""How good the stored reasons are, without a language model judging them.

Texts. USR (unique sentence ratio): distinct why sentences / reasons. distinct-n: distinct word
n-grams / word n-grams, over all why sentences together.

Faithfulness. A reason is faithful when each fact that it cites for or against the item is among the
three of its side that move the evidence model's score most, of those offered. And by how much: the
log-odds that the cited facts carry, against what as many of the others that were offered carry on
average. Contributions add up to the score, so taking facts away changes it by just their sum; sizes
are added, so that what speaks for and what speaks against do not cancel.

Levels. Each stands for the middle of its interval of probabilities. ECE: mean over reasons of the
distance between that and the share liked among reasons of the level. Agreement: share of reasons
whose verdict's side is the outcome, which the writer never saw; a toss-up counts half. Compare it
with always saying the commoner outcome.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from curec_assets.core.seeds import random_generator
from curec_assets.evaluation.bootstrap import (
    Floats,
    Interval,
    Resamples,
    interval,
    weighted_auc,
    weighted_mean,
)

LEVELS = 9
_TOP = 3  # facts of a side that a faithful reason may cite
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")


@dataclass(frozen=True)
class Measured:
    """One number about the reasons."""

    name: str
    meaning: str
    interval: Interval
    """Over users; low = high = value where no interval is drawn."""


def reason_quality(
    reasons: pl.DataFrame,
    outcomes: pl.DataFrame,
    *,
    level_cuts: Sequence[float],
    samples: int,
    seed: int,
) -> list[Measured]:
    """What is measured of `recommendation_reasons`; empty when there are no reasons.

    `outcomes`: `event_id, liked`. `level_cuts`: the probabilities between the levels.
    """
    if reasons.is_empty():
        return []
    judged = reasons.join(outcomes, on="event_id", how="left", maintain_order="left").with_columns(
        user=(pl.col("user_id").rank("dense") - 1).cast(pl.Int64),
        words=pl.Series([len(_words(text)) for text in reasons["why"]], dtype=pl.Int64),
        **faithfulness(reasons),
    )
    resamples = Resamples.draw(
        random_generator(seed, "reason quality"),
        users=judged["user"].n_unique(),
        seeds=1,
        samples=samples,
    )
    texts = reasons["why"].to_list()
    return [
        *(
            Measured(name, meaning, _mean(judged, expression, resamples))
            for name, meaning, expression in _SHARES
        ),
        *_of_levels(judged, resamples, level_probabilities(level_cuts)),
        Measured("USR", "distinct why sentences / reasons", _exactly(len(set(texts)) / len(texts))),
        Measured("distinct-1", "distinct words / words", _exactly(distinct(texts, 1))),
        Measured("distinct-2", "distinct word pairs / word pairs", _exactly(distinct(texts, 2))),
        Measured(
            "levels used",
            f"of {LEVELS}",
            _exactly(float(reasons["level"].n_unique())),
        ),
    ]


_SIDE = (pl.col("level") - (LEVELS + 1) // 2).sign()
_CITED = pl.col("facts").list.eval(pl.element().struct.field("contribution")).list.sum()
AGAINST_ITS_VERDICT = pl.when(_SIDE != 0).then(_SIDE * _CITED < 0)
"""Of `facts` and `level`: whether what is cited weighs to the other side; null at a toss-up."""
_SHARES = (
    ("grounded", "share that claims nothing but offered and cited facts", pl.col("grounded")),
    ("faithful", f"share that cites only facts among the {_TOP} weightiest", pl.col("faithful")),
    ("log-odds of cited facts", "what the score loses without them", pl.col("cited_weight")),
    ("log-odds of other facts", "what it loses without as many others", pl.col("other_weight")),
    (
        "composer's",
        "share written by the composer after failed attempts",
        pl.col("source") == "composer",
    ),
    ("words", "mean length of a why sentence in words", pl.col("words")),
    (
        "within one level",
        "share at most one level from the evidence model's",
        (pl.col("level") - pl.col("evidence_level")).abs() <= 1,
    ),
    (
        "against its verdict",
        "share of verdicts with a side whose cited facts weigh more to the other one",
        AGAINST_ITS_VERDICT,
    ),
    (
        "verdict agreement",
        "share whose verdict is on the outcome's side; a toss-up counts half",
        # 1 on the side of the outcome, 1/2 at a toss-up, 0 on the other side
        (1 + _SIDE * (2 * pl.col("liked").cast(pl.Int64) - 1)) / 2,
    ),
    (
        "commoner outcome",
        "agreement of always saying the commoner outcome",
        pl.col("liked") == (pl.col("liked").mean() >= 0.5),
    ),
)


def level_probabilities(cuts: Sequence[float]) -> Floats:
    """(9,) the probability of a like that each level stands for: the middle of its interval."""
    edges = np.array([0.0, *cuts, 1.0])
    return (edges[1:] + edges[:-1]) / 2


def level_ece(levels: "np.ndarray", liked: "np.ndarray", cuts: Sequence[float]) -> float:
    """ECE of levels (1 to 9) against outcomes; NaN without reasons."""
    if not len(levels):
        return float("nan")
    counts = np.bincount(levels - 1, minlength=LEVELS)[None, :].astype(np.float64)
    likes = np.bincount(levels - 1, weights=liked, minlength=LEVELS)[None, :].astype(np.float64)
    return float(_ece(counts, likes, level_probabilities(cuts))[0])


def faithfulness(reasons: pl.DataFrame) -> dict[str, pl.Series]:
    """Per reason: `faithful`, `cited_weight`, `other_weight`; null where it cites no such fact.

    `reasons`: `facts` (what is cited: strength, contribution), `uncited` (contributions of the
    facts that were offered besides). Weights are sums of absolute log-odds; `other_weight` is what
    as many others would weigh, null for both where there are no others.
    """
    faithful: list[bool | None] = []
    cited_weight: list[float | None] = []
    other_weight: list[float | None] = []
    for facts, others in reasons.select("facts", "uncited").iter_rows():
        cited = [fact["contribution"] for fact in facts if fact["strength"]]
        both = bool(cited) and bool(others)
        faithful.append(_weightiest(cited, others) if cited else None)
        cited_weight.append(sum(map(abs, cited)) if both else None)
        other_weight.append(len(cited) * sum(map(abs, others)) / len(others) if both else None)
    return {
        "faithful": pl.Series(faithful, dtype=pl.Boolean),
        "cited_weight": pl.Series(cited_weight, dtype=pl.Float64),
        "other_weight": pl.Series(other_weight, dtype=pl.Float64),
    }


def distinct(texts: list[str], n: int) -> float:
    """Distinct word n-grams / word n-grams over all texts; 0 when there are none."""
    grams = [gram for text in texts for gram in _ngrams(_words(text), n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def _weightiest(cited: Sequence[float], others: Sequence[float]) -> bool:
    """Whether fewer than `_TOP` offered facts of its side outweigh each cited one."""
    offered = [*cited, *others]
    return all(
        sum(one * other > 0 and abs(other) > abs(one) for other in offered) < _TOP for one in cited
    )


def _of_levels(judged: pl.DataFrame, resamples: Resamples, middles: Floats) -> list[Measured]:
    """AUC, calibration and rank correlation of the levels."""
    known = judged.filter(pl.col("liked").is_not_null())
    user, liked = known["user"].to_numpy(), known["liked"].to_numpy()
    level = known["level"].to_numpy()

    def auc(scores: pl.Series) -> Interval:
        return interval(weighted_auc(resamples.users, user, liked, scores.to_numpy()))

    counts = resamples.users @ _per_user(user, level - 1, resamples, LEVELS)
    likes = resamples.users @ _per_user(user[liked], level[liked] - 1, resamples, LEVELS)
    cells = (judged["level"].to_numpy() - 1) * LEVELS + judged["evidence_level"].to_numpy() - 1
    tables = resamples.users @ _per_user(
        judged["user"].to_numpy(), cells, resamples, LEVELS * LEVELS
    )
    return [
        Measured("level AUC", "of the level against the outcome", auc(known["level"])),
        Measured(
            "evidence AUC",
            "of the evidence model's probability on the same events",
            auc(known["evidence_probability"]),
        ),
        Measured(
            "level ECE",
            "distance of a level's probability from the share liked",
            interval(_ece(counts, likes, middles)),
        ),
        Measured(
            "Spearman",
            "rank correlation of the level with the evidence model's",
            interval(_spearman(tables.reshape(-1, LEVELS, LEVELS))),
        ),
    ]


def _per_user(user: "np.ndarray", cell: "np.ndarray", resamples: Resamples, cells: int) -> Floats:
    """(users, cells) how many reasons of each user are in each cell."""
    counts = np.zeros((resamples.users.shape[1], cells))
    np.add.at(counts, (user, cell), 1.0)
    return counts


def _ece(counts: Floats, likes: Floats, middles: Floats) -> Floats:
    """(n,) from (n, levels) numbers of reasons and of likes."""
    total = counts.sum(axis=1)
    gaps = np.abs(counts * middles - likes).sum(axis=1)
    return np.divide(gaps, total, out=np.full(len(total), np.nan), where=total > 0)


def _spearman(tables: Floats) -> Floats:
    """(n,) Spearman's correlation of (n, a, b) tables of counts; NaN where one side is constant."""
    total = tables.sum(axis=(1, 2))

    def centred(margin: Floats) -> Floats:
        # The rank of a tied group is the mean of its places.
        below = np.cumsum(margin, axis=1) - margin
        return below + (margin - total[:, None]) / 2

    one, other = tables.sum(axis=2), tables.sum(axis=1)
    x, y = centred(one), centred(other)
    shared = np.einsum("nab,na,nb->n", tables, x, y)
    size = np.sqrt((one * x**2).sum(axis=1) * (other * y**2).sum(axis=1))
    return np.divide(shared, size, out=np.full(len(total), np.nan), where=size > 0)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _ngrams(words: list[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(n)), strict=False)


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
