"""Rows with a reason that stay as they were written while nothing of their own user's changes.

Whatever anybody does moves everybody's numbers a little. To write all reasons anew for that would
cost a language model's work for every late event; so a row says what was known as it was written,
until its own user's history, or how an item of it is described, is another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from curec_assets.core.provenance import digest
from resources.generation.protocol import Prompt, Sampling

BASIS = "basis"
"""Column: hash of what a row rests on of its own user's."""
WAITS = "waiting"
"""`source` of a reason that is the composer's until a later run lets the policy write it."""


@dataclass(frozen=True)
class Allowance:
    """How many reasons the policy may newly write in one run, and which come first."""

    most: int
    order: Sequence[int]
    """Positions of rows, the most urgent first."""
    is_kept: Callable[[Prompt, Sampling], bool]
    """Whether what is asked was written before, and costs nothing."""


def with_basis(rows: pl.DataFrame, histories: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """`rows` (item_id, ...) with `BASIS`.

    `histories`: `datasets.schema.HISTORY` of each row's user, in the order of the rows; `items`:
    item_id, title, attributes.
    """
    used = pl.concat([rows["item_id"], histories["item_ids"].explode()]).drop_nulls().unique()
    described = {
        item_id: digest([title, attributes])
        for item_id, title, attributes in items.select("item_id", "title", "attributes")
        .filter(pl.col("item_id").is_in(used.implode()))
        .iter_rows()
    }
    known = histories.select("item_ids", "ratings", "likes", "timestamps", "length")
    of_users = [
        digest([*rest, [described.get(each) for each in item_ids], item_ids])
        for item_ids, *rest in known.iter_rows()
    ]
    values = [
        digest([of_user, described.get(item_id)])
        for of_user, item_id in zip(of_users, rows["item_id"], strict=True)
    ]
    return rows.with_columns(pl.Series(BASIS, values, dtype=pl.String))


def kept(rows: pl.DataFrame, earlier: pl.DataFrame | None, key: str) -> pl.DataFrame:
    """Those of `rows` (`key`, `BASIS`, ...) whose reason stays, with all columns of `earlier`.

    `earlier`: rows as they are stored; None where none may stay.
    """
    if earlier is None:
        return rows.clear()
    written = earlier.filter(pl.col("source") != WAITS)
    rest = [name for name in written.columns if name not in rows.columns]
    return rows.join(
        written.select(key, BASIS, *rest), on=[key, BASIS], how="inner", maintain_order="left"
    )


def waiting(rows: pl.DataFrame) -> int:
    """How many reasons of these wait for the policy."""
    return int((rows["source"] == WAITS).sum())
