"""How reasons fare by round."""

import polars as pl
import pytest

from curec_assets.reasons.by_round import by_round

CUTS = (0.10, 0.22, 0.34, 0.45, 0.55, 0.66, 0.78, 0.90)


def test_rounds_are_grouped_by_doubling_and_measured_by_hand() -> None:
    reasons = pl.DataFrame(
        {
            "round": [0, 0, 1, 2, 3, 6],
            "level": [8, 2, 5, 5, 7, 3],
            "evidence_level": [8, 4, 5, 5, 6, 3],
            "reader_probability": [0.9, 0.2, 0.5, 0.5, 0.7, 0.8],
            "source": ["policy", "composer", "policy", "policy", "policy", "policy"],
            "liked": [True, False, True, True, True, False],
        }
    )
    rows = by_round(reasons, CUTS)
    assert [(row["rounds"], row["reasons"]) for row in rows] == [("0", 2), ("1-2", 2), ("3-6", 2)]
    assert [row["reader_auc"] for row in rows] == [1.0, None, 0.0]
    assert [row["level_auc"] for row in rows] == [1.0, None, 1.0]
    assert [row["within_one"] for row in rows] == [0.5, 1.0, 1.0]
    assert [row["composer"] for row in rows] == [0.5, 0.0, 0.0]
    assert rows[0]["level_ece"] == pytest.approx(0.16)
    assert by_round(reasons.clear(), CUTS) == []
