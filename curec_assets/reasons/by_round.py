"""How reasons fare by how often their user's note could have been corrected before."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from curec_assets.evaluation.metrics import auc
from curec_assets.evaluation.reason_quality import level_ece

SERIES = ("reader_auc", "level_auc", "level_ece", "within_one", "composer")


def by_round(reasons: pl.DataFrame, level_cuts: Sequence[float]) -> list[dict[str, Any]]:
    """Of rounds 0, 1-2, 3-6, 7-14, ...: number of reasons, and `SERIES` (null where undefined).

    `reader_auc`: of the plain reader, which sees the reason alone. `level_ece`: see
    `evaluation.reason_quality`. `reasons`: `walk.SHARD` and `liked`.
    """
    doubling = (pl.col("round") + 1).log(2).floor().cast(pl.Int64)
    grouped = reasons.with_columns(group=doubling).partition_by("group", as_dict=True)
    return [_measured(grouped[key], level_cuts) for key in sorted(grouped)]


def _measured(reasons: pl.DataFrame, level_cuts: Sequence[float]) -> dict[str, Any]:
    liked, levels = reasons["liked"].to_numpy(), reasons["level"].to_numpy()
    gap = (reasons["level"] - reasons["evidence_level"]).abs()
    values = {
        "reader_auc": auc(liked, reasons["reader_probability"].to_numpy()),
        "level_auc": auc(liked, levels),
        "level_ece": level_ece(levels, liked, level_cuts),
        "within_one": float((gap <= 1).sum()) / reasons.height,
        "composer": float((reasons["source"] == "composer").sum()) / reasons.height,
    }
    known = {name: None if value != value else round(value, 4) for name, value in values.items()}
    first, *later = reasons["round"].unique().sort().to_list()
    rounds = f"{first}-{later[-1]}" if later else f"{first}"
    return {"rounds": rounds, "reasons": reasons.height, **known}
