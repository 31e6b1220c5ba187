"""Which recommendations stay: those of users who did nothing since, while they are not too old."""

from collections.abc import Sequence

import polars as pl

from curec_assets.datasets.histories import histories_at
from curec_assets.reasons.lasting import BASIS, WAITS, with_basis

_DAY = 86_400  # seconds


def with_grounds(
    shown: pl.DataFrame, interactions: pl.DataFrame, items: pl.DataFrame, max_history: int
) -> pl.DataFrame:
    """`shown` (user_id, item_id, ...) with what each row rests on of its own user's, now."""
    histories = histories_at(interactions, shown["user_id"].to_list(), None, max_history)
    return with_basis(shown, histories, items)


def still_shown(
    earlier: pl.DataFrame | None,
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    *,
    users: Sequence[str],
    now: int,
    days: float,
    max_history: int,
) -> pl.DataFrame | None:
    """Rows of `earlier` that stay, a user's all or none, of `users`; None where there are none.

    `now`: Unix seconds; rows that were made more than `days` before go, as do those of a user of
    whom a row waits for the policy.
    """
    if earlier is None:
        return None
    earlier = earlier.filter(pl.col("user_id").is_in(list(users)))
    basis = with_grounds(earlier.drop(BASIS), interactions, items, max_history)[BASIS]
    good = (earlier[BASIS] == basis) & (earlier["source"] != WAITS)
    good &= now - earlier["as_of"] <= days * _DAY
    found = earlier.filter(~pl.col("user_id").is_in(earlier["user_id"].filter(~good).implode()))
    return None if found.is_empty() else found
