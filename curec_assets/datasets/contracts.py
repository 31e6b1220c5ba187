"""What must hold of this stage's tables: each function returns what breaks it.

Plain functions, so that a consumer or a notebook can ask again; `checks.py` shows them to Dagster.
"""

from itertools import pairwise

import polars as pl

from curec_assets.datasets.schema import FOLDS, SPLITS


def bad_titles(items: pl.DataFrame) -> pl.DataFrame:
    """Items whose title is not unique, or holds a double quote or newline."""
    title = pl.col("title")
    return items.filter(
        title.is_null() | title.is_duplicated() | title.str.contains('["\n\r]') | (title == "")
    ).select("item_id", "title")


def split_disorder(event_splits: pl.DataFrame) -> list[str]:
    """Splits that are missing, or that begin before an earlier one has ended."""
    time = pl.col("timestamp")
    ranges = {
        split: (first, last)
        for split, first, last in event_splits.group_by("split")
        .agg(first=time.min(), last=time.max())
        .iter_rows()
    }
    problems = [f"no event is in split {split!r}" for split in SPLITS if split not in ranges]
    problems += [f"split {split!r} is unknown" for split in ranges if split not in SPLITS]
    present = [split for split in SPLITS if split in ranges]
    for earlier, later in pairwise(present):
        if ranges[earlier][1] >= ranges[later][0]:
            problems.append(
                f"{earlier} ends at {ranges[earlier][1]}, {later} begins at {ranges[later][0]}"
            )
    return problems


def fold_faults(event_splits: pl.DataFrame) -> list[str]:
    """Users in both folds, empty folds, folds outside train."""
    train = event_splits.filter(pl.col("split") == "train")
    both = (
        train.group_by("user_id").agg(folds=pl.col("fold").n_unique()).filter(pl.col("folds") > 1)
    )
    problems = [f"user {user!r} is in both folds" for user in both["user_id"].sort()]
    found = set(train["fold"])
    problems += [f"no training event is in fold {fold!r}" for fold in FOLDS if fold not in found]
    problems += [f"fold {fold!r} is unknown" for fold in found if fold not in FOLDS]
    outside = event_splits.filter((pl.col("split") != "train") & pl.col("fold").is_not_null())
    if outside.height:
        problems.append(f"{outside.height} events outside train have a fold")
    return problems
