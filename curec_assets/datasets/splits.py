"""Which events teach, choose and test: a global split in time, and folds by user.

A cut never divides a timestamp: events of the same second are in the same split. The fold of a user
depends on the user's id and the seed only, so that it stays the same when data is added.
"""

import numpy as np
import polars as pl

from curec_assets.datasets import schema
from curec_assets.settings import SplitSettings
from resources.errors import DataError

# `strlen` counts bytes.
_FOLDS = """
    SELECT CASE WHEN hash::DOUBLE / 9223372036854775808 < $fraction
        THEN 'reward' ELSE 'policy' END AS fold
    FROM (
        SELECT ('0x' || substr(sha256(
            concat($before, 's', strlen(user_id), ':', user_id)
        ), 1, 16))::UBIGINT >> 1 AS hash
        FROM users
    )
"""


def assign_splits(snapshot: pl.DataFrame, settings: SplitSettings, seed: int) -> pl.DataFrame:
    """The snapshot's rows with `split`, and with `fold` for training events (null elsewhere).

    Raises `DataError` when there are fewer than three distinct timestamps.
    """
    users = snapshot["user_id"].unique()
    folds = user_folds(users, settings.reward_fold_fraction, seed)
    of_policy = pl.col("user_id").is_in(users.filter(folds == "policy").implode())
    fold = pl.when(of_policy).then(pl.lit("policy")).otherwise(pl.lit("reward"))
    return split_in_time(snapshot, settings).with_columns(
        fold=pl.when(pl.col("split") == "train").then(fold)
    )


def split_in_time(snapshot: pl.DataFrame, settings: SplitSettings) -> pl.DataFrame:
    """The snapshot's rows with `split`, in the order of time.

    Each split gets at least one timestamp, and its share of events as nearly as whole timestamps
    allow. Raises `DataError` when there are fewer than three distinct timestamps.
    """
    first_validation, first_test = _cuts(snapshot["timestamp"], settings)
    split = (
        pl.when(pl.col("timestamp") < first_validation)
        .then(pl.lit("train"))
        .when(pl.col("timestamp") < first_test)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("test"))
    )
    rows = snapshot.with_columns(split=split)
    return rows if _in_order(rows) else rows.sort("timestamp", "event_id")


def _in_order(rows: pl.DataFrame) -> bool:
    """Whether they are sorted already, as a stored snapshot is: to sort is to copy them."""
    time, event = pl.col("timestamp"), pl.col("event_id")
    later = (time > time.shift()) | ((time == time.shift()) & (event >= event.shift()))
    return bool(rows.select(later.fill_null(True).all()).item())


def user_folds(user_ids: pl.Series, reward_fraction: float, seed: int) -> pl.Series:
    """'reward' or 'policy' for each, by a seeded hash of the user id: `seeds.derive`, in bulk."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("users", pl.DataFrame({"user_id": user_ids}))
        asked = {"before": f"i{len(str(seed))}:{seed}s4:fold", "fraction": reward_fraction}
        found = pl.from_arrow(connection.sql(_FOLDS, params=asked).to_arrow_table())
    return pl.DataFrame(found)["fold"]


def require_both_folds(event_splits: pl.DataFrame) -> None:
    """Raises `DataError` where the training events are of too few users for two folds."""
    training = event_splits.lazy().filter(pl.col("split") == "train")
    users = training.group_by("fold").agg(pl.col("user_id").n_unique()).collect()
    found = dict(users.iter_rows())
    if len(found) < len(schema.FOLDS):
        raise DataError(
            f"found {sum(found.values())} users with training events, all of them in the fold "
            f"{', '.join(map(repr, found))}; expected users in each of {', '.join(schema.FOLDS)}: "
            "the readers are fitted on other users than the language model. Use data of more users "
            "(a few dozen at least), or change split.reward_fold_fraction"
        )


def _cuts(timestamps: pl.Series, settings: SplitSettings) -> tuple[int, int]:
    """First timestamp of validation and of test."""
    runs = timestamps.sort().rle().struct.unnest()
    values, counts = runs["value"].to_numpy(), runs["len"].to_numpy()
    if len(values) < 3:
        raise DataError(
            f"found {len(values)} distinct times in {len(timestamps)} events, expected at least 3 "
            "to split in time; use data with real times"
        )
    before = np.concatenate([[0], np.cumsum(counts)])  # (distinct + 1,): events before each time
    wanted = settings.train_fraction * len(timestamps)
    first = 1 + int(np.argmin(np.abs(before[1 : len(values) - 1] - wanted)))
    wanted = (settings.train_fraction + settings.validation_fraction) * len(timestamps)
    second = first + 1 + int(np.argmin(np.abs(before[first + 1 : len(values)] - wanted)))
    return int(values[first]), int(values[second])
