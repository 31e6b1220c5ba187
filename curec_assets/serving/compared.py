"""Two writers side by side on the same events: how far they agree, and which words differ."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import polars as pl

from curec_assets.core.seeds import random_generator
from curec_assets.evaluation.bootstrap import Interval, Resamples, interval, weighted_auc
from curec_assets.explanation.selection import draw
from curec_assets.serving.writers import Writers
from resources.errors import ConfigError
from resources.storage.warehouse import Warehouse

Piece = tuple[str, bool]
"""Some words, and whether the other text lacks them there."""
SIDES = ("a", "b")


@dataclass(frozen=True)
class Measures:
    """How two writers compare on the events that both wrote about."""

    events: int
    users: int
    equal: float
    """Share of texts that are the same."""
    level_gap: float
    """Mean of |level - other level|."""
    within_one: float
    """Share of events whose levels are at most one apart."""
    auc: tuple[Interval, Interval]
    """Of the levels against the outcomes; NaN where all outcomes are one."""
    auc_difference: Interval
    """The first less the second, on the same resampled users."""


@dataclass(frozen=True)
class Compared:
    """Reasons of two writers, joined by event."""

    a: str
    b: str
    rows: pl.DataFrame
    """event_id, user_id, item_id, title, liked; each of `WRITTEN` with `_a` and with `_b`."""

    @classmethod
    def of(cls, writers: Writers, warehouse: Warehouse, a: str, b: str) -> "Compared":
        """`a`, `b`: as of `Writers.named`. Raises `ConfigError` where they share no event."""
        a, b = writers.named(a), writers.named(b)
        first, second = writers.written(a, b)
        both = _suffixed(first, "a").join(_suffixed(second, "b"), on="event_id")
        events = warehouse.matching(
            "interactions", both.select("event_id"), ["event_id", "user_id", "item_id", "liked"]
        )
        titles = warehouse.read("items", ["item_id", "title"])
        rows = events.join(titles, on="item_id").join(both, on="event_id").sort("event_id")
        if rows.is_empty():
            raise ConfigError(
                f"{a!r} wrote about {first.height} events and {b!r} about {second.height}, and "
                "none of them is the same one; compare those with events in common: `composer` "
                "goes with everybody, and the rungs of `make benchmark` with each other"
            )
        return cls(a, b, rows)

    def measures(self, samples: int, seed: int) -> Measures:
        """`samples`: resamples of users for the intervals."""
        rows = self.rows
        users = (rows["user_id"].rank("dense") - 1).cast(pl.Int64)
        resamples = Resamples.draw(
            random_generator(seed, "compare"), users=users.n_unique(), seeds=1, samples=samples
        ).users
        liked = rows["liked"].to_numpy()
        first, second = (
            weighted_auc(resamples, users.to_numpy(), liked, rows[f"level_{side}"].to_numpy())
            for side in SIDES
        )
        gap = (rows["level_a"] - rows["level_b"]).abs().to_numpy()
        return Measures(
            events=rows.height,
            users=users.n_unique(),
            equal=float((rows["reason_a"] == rows["reason_b"]).to_numpy().mean()),
            level_gap=float(gap.mean()),
            within_one=float((gap <= 1).mean()),
            auc=(interval(first), interval(second)),
            auc_difference=interval(first - second),
        )

    def different(
        self, count: int | None, seed: int, purpose: str = "compare"
    ) -> list[dict[str, Any]]:
        """At most `count` rows whose texts differ and are there, by a seeded hash; None: all.

        Those of another `purpose` come in another order.
        """
        said = (pl.col("reason_a") != "") & (pl.col("reason_b") != "")
        rows = self.rows.filter(said & (pl.col("reason_a") != pl.col("reason_b")))
        wanted = rows.height if count is None else count
        ids = draw(rows["event_id"], wanted, seed=seed, purpose=purpose)
        drawn = pl.DataFrame({"event_id": ids}, schema={"event_id": pl.String})
        return drawn.join(rows, on="event_id", maintain_order="left").to_dicts()


def marked(one: str, other: str) -> tuple[list[Piece], list[Piece]]:
    """Two texts word by word, runs of words that the other lacks marked as such."""
    ours, theirs = one.split(), other.split()
    first: list[Piece] = []
    second: list[Piece] = []
    for kind, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        for pieces, words in ((first, ours[a:b]), (second, theirs[c:d])):
            if words:
                pieces.append((" ".join(words), kind != "equal"))
    return first, second


def _suffixed(rows: pl.DataFrame, side: str) -> pl.DataFrame:
    return rows.rename({name: f"{name}_{side}" for name in rows.columns if name != "event_id"})
