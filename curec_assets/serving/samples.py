"""Some reasons to read: from the worst to the best, not the best alone."""

import polars as pl

PERCENTILES = (5, 50, 95)
_AROUND = 3


def samples(reasons: pl.DataFrame) -> pl.DataFrame:
    """Three reasons around each percentile of reward: percentile, and the columns of `reasons`.

    `reasons`: reward, event_id and whatever is to be shown; nothing of them is edited.
    """
    ranked = reasons.sort("reward", "event_id")
    firsts = (round((ranked.height - 1) * each / 100) - _AROUND // 2 for each in PERCENTILES)
    return pl.concat(
        ranked.slice(max(first, 0), _AROUND).select(pl.lit(each).alias("percentile"), pl.all())
        for each, first in zip(PERCENTILES, firsts, strict=True)
    )
