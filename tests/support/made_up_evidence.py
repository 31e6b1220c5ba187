"""A table `event_evidence` that was made up: facts of all kinds, and a level that follows them."""

import numpy as np
import polars as pl

from curec_assets.evidence.levels import LEVELS
from curec_assets.evidence.schema import EVENT_EVIDENCE

_KINDS = ("crowd", "trend", "like_minded", "taste", "habit", "lately")


def event_evidence(
    event_splits: pl.DataFrame, histories: pl.DataFrame, items: pl.DataFrame, *, seed: int = 0
) -> pl.DataFrame:
    """One row per event; no probability for the earliest twentieth. Labels are not looked at."""
    attributes = dict(items.select("item_id", "attributes").iter_rows())
    rows = event_splits.select("event_id", "item_id", "timestamp").join(
        histories.select("event_id", "item_ids", "likes"), on="event_id"
    )
    early = rows["timestamp"].quantile(0.05)
    made = []
    for row in rows.sort("event_id").iter_rows(named=True):
        random = np.random.default_rng([seed, len(made)])
        named: list[tuple[str, str | None, bool | None]] = [
            (kind, None, None) for kind in random.permutation(_KINDS)[:4].tolist()
        ]
        if row["item_ids"]:
            named.append(("related", row["item_ids"][-1], row["likes"][-1]))
        if attributes[row["item_id"]]:
            named.append(("attribute", attributes[row["item_id"]][0]["value"], None))
        facts = [
            {
                "kind": kind,
                "value": value,
                "liked": liked,
                "contribution": float(strength) / 4,
                "strength": int(strength),
                "count": 3,
                "of": 7,
            }
            for (kind, value, liked), strength in zip(
                named, random.choice([-3, -2, -1, 1, 2, 3], len(named)), strict=True
            )
        ]
        facts.sort(key=lambda fact: -abs(fact["strength"]))
        level = min(LEVELS, max(1, 5 + sum(fact["strength"] for fact in facts) // 2))
        known = row["timestamp"] > early
        made.append(
            {
                "event_id": row["event_id"],
                "probability": (level - 0.5) / LEVELS if known else None,
                "level": level if known else None,
                "facts": facts if known else [],
            }
        )
    return pl.DataFrame(made, schema=EVENT_EVIDENCE)
