"""What must hold of this stage's outputs, whatever the models are worth."""

import polars as pl

from curec_assets.datasets.schema import OBSERVED


def prediction_problems(predictions: pl.DataFrame, events: pl.DataFrame) -> list[str]:
    """What is wrong with `event_id, variant, seed, probability`; `events`: whom it must cover."""
    problems = []
    invalid = predictions.filter(
        ~(pl.col("probability").is_between(0.0, 1.0) & pl.col("probability").is_finite()).fill_null(
            False
        )
    )
    if invalid.height:
        problems.append(f"{invalid.height} probabilities are not finite numbers in [0, 1]")
    networks = predictions.select("variant", "seed").unique()
    expected = networks.join(events.select("event_id"), how="cross")
    key = ["variant", "seed", "event_id"]
    missing = expected.join(predictions, on=key, how="anti").height
    unknown = predictions.join(expected, on=key, how="anti").height
    repeated = int(predictions.select(key).is_duplicated().sum())
    found = {"missing": missing, "of unknown events": unknown, "given more than once": repeated}
    problems += [f"{count} predictions are {what}" for what, count in found.items() if count]
    if not networks.height:
        problems.append("there is no prediction at all")
    return problems


def misplaced_intervals(evaluation: pl.DataFrame) -> pl.DataFrame:
    """Rows of `recommender_evaluation` whose interval does not contain the value."""
    contains = (pl.col("low") <= pl.col("value")) & (pl.col("value") <= pl.col("high"))
    undefined = pl.all_horizontal(pl.col("value", "low", "high").is_null())
    return evaluation.filter(~(contains.fill_null(False) | undefined))


def recommendation_problems(shown: pl.DataFrame, interactions: pl.DataFrame) -> list[str]:
    """What is wrong with `user_id, rank, item_id`, given what each user has interacted with.

    `interactions`: user_id, item_id, rating.
    """
    seen = shown.join(interactions.filter(OBSERVED), on=["user_id", "item_id"], how="semi").height
    repeated = int(shown.select("user_id", "item_id").is_duplicated().sum())
    ranks = shown.sort("user_id", "rank").with_columns(
        expected=pl.int_range(1, pl.len() + 1).over("user_id")
    )
    gaps = ranks.filter(pl.col("rank") != pl.col("expected"))["user_id"].n_unique()
    found = {
        f"{seen} recommended items had been seen": seen,
        f"{repeated} recommended items appear more than once for a user": repeated,
        f"{gaps} users have ranks other than 1, 2, 3, ...": gaps,
    }
    return [problem for problem, count in found.items() if count]
