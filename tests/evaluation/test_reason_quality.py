"""What is measured of stored reasons, by hand, against SciPy, and by laws."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from curec_assets.evaluation.reason_quality import (
    distinct,
    faithfulness,
    level_ece,
    level_probabilities,
    reason_quality,
)
from curec_assets.reasons.rows import REASON

CUTS = (0.10, 0.22, 0.34, 0.45, 0.55, 0.66, 0.78, 0.90)
_SCHEMA = {
    "event_id": pl.String,
    "user_id": pl.String,
    "why": pl.String,
    "level": pl.Int64,
    "evidence_level": pl.Int64,
    "evidence_probability": pl.Float64,
    "facts": REASON["facts"],
    "uncited": REASON["uncited"],
    "grounded": pl.Boolean,
    "source": pl.String,
}


def _row(number: int, user: str, level: int, evidence: int, **values: Any) -> dict[str, Any]:
    return {
        "event_id": str(number),
        "user_id": user,
        "why": f"Why {number}.",
        "level": level,
        "evidence_level": evidence,
        "evidence_probability": (evidence - 0.5) / 9,
        "facts": _facts(0.5),
        "uncited": [0.2],
        "grounded": True,
        "source": "policy",
        **values,
    }


def _facts(*contributions: float) -> list[dict[str, Any]]:
    return [
        {"kind": "crowd", "strength": 1 if each > 0 else -1, "contribution": each}
        for each in contributions
    ]


def _measured(rows: list[dict[str, Any]], liked: list[bool]) -> dict[str, float]:
    reasons = pl.DataFrame(rows, schema=_SCHEMA)
    outcomes = reasons.select("event_id").with_columns(liked=pl.Series(liked, dtype=pl.Boolean))
    measured = reason_quality(reasons, outcomes, level_cuts=CUTS, samples=20, seed=1)
    for row in measured:
        found = row.interval
        assert np.isnan(found.value) or found.low <= found.value <= found.high
    return {row.name: row.interval.value for row in measured}


def test_what_weighs_against_the_verdict_is_counted_where_that_has_a_side() -> None:
    one_sided = _facts(0.5, -0.9)
    rows = [_row(level, "u", level, level, facts=one_sided) for level in (3, 5, 7, 9)]
    assert _measured(rows, [True] * 4)["against its verdict"] == pytest.approx(2 / 3)


def test_by_hand() -> None:
    values = _measured(
        [
            _row(1, "u", 8, 9, why="You like war films."),
            _row(2, "u", 5, 5, why="You like war films.", grounded=False),
            _row(3, "v", 2, 5, why="It's a comedy.", source="composer", facts=[]),
        ],
        [True, False, True],
    )
    assert values["grounded"] == pytest.approx(2 / 3)
    assert values["composer's"] == pytest.approx(1 / 3)
    assert values["within one level"] == pytest.approx(2 / 3)
    assert values["verdict agreement"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert values["commoner outcome"] == pytest.approx(2 / 3)
    assert values["levels used"] == 3
    assert values["USR"] == pytest.approx(2 / 3)
    assert values["words"] == pytest.approx(11 / 3)
    assert values["distinct-1"] == pytest.approx(7 / 11)
    assert values["level AUC"] == pytest.approx(0.5)
    assert values["faithful"] == 1.0  # the reason without a cited fact does not count
    assert values["log-odds of cited facts"] == pytest.approx(0.5)
    assert values["log-odds of other facts"] == pytest.approx(0.2)
    gaps = abs(0.84 - 1) + abs(0.5 - 0) + abs(0.16 - 1)
    assert values["level ECE"] == pytest.approx(gaps / 3)


def test_no_reasons_are_no_measurements() -> None:
    assert _measured([], []) == {}
    assert distinct([], 2) == 0.0


_EVENTS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.integers(0, 3)),
    min_size=3,
    max_size=40,
)


@given(_EVENTS)
@hypothesis_settings(max_examples=40)
def test_levels_are_measured_as_libraries_do(events: list[tuple[int, int, bool, int]]) -> None:
    level, evidence, liked, user = (np.array(column) for column in zip(*events, strict=True))
    values = _measured(
        [
            _row(n, str(u), int(a), int(b))
            for n, (a, b, u) in enumerate(zip(level, evidence, user, strict=True))
        ],
        liked.tolist(),
    )
    if liked.any() and not liked.all():
        assert values["level AUC"] == pytest.approx(roc_auc_score(liked, level))
        assert values["evidence AUC"] == pytest.approx(roc_auc_score(liked, evidence))
    if len(set(level)) > 1 and len(set(evidence)) > 1:
        assert values["Spearman"] == pytest.approx(spearmanr(level, evidence).statistic)
    else:
        assert np.isnan(values["Spearman"])
    assert values["level ECE"] == pytest.approx(level_ece(level, liked, CUTS))


def test_a_level_stands_for_the_middle_of_its_interval() -> None:
    middles = level_probabilities(CUTS)
    assert middles == pytest.approx([0.05, 0.16, 0.28, 0.395, 0.5, 0.605, 0.72, 0.84, 0.95])
    liked = np.array([True] * 21 + [False] * 4)
    assert level_ece(np.full(25, 8), liked, CUTS) == pytest.approx(0.0)


@given(
    st.lists(st.floats(0.05, 3).map(lambda x: round(x, 3)), min_size=4, max_size=8, unique=True),
    st.sampled_from([1, -1]),
    st.integers(0, 7),
)
def test_a_reason_is_faithful_that_cites_one_of_the_three_weightiest_of_its_side(
    sizes: list[float], side: int, place: int
) -> None:
    ordered = sorted(sizes, reverse=True)
    place = min(place, len(sizes) - 1)
    others = [side * size for size in ordered[:place] + ordered[place + 1 :]]
    # However strong, what speaks for the other side does not count.
    reasons = pl.DataFrame(
        [_row(1, "u", 5, 5, facts=_facts(side * ordered[place]), uncited=[*others, -side * 9.0])],
        schema=_SCHEMA,
    )
    found = faithfulness(reasons)
    assert found["faithful"].item() is (place < 3)
    assert found["cited_weight"].item() == pytest.approx(ordered[place])
    assert found["other_weight"].item() == pytest.approx((sum(map(abs, others)) + 9) / len(sizes))
