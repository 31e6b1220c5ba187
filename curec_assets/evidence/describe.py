"""What is worth looking at in the evidence."""

from typing import Any

import polars as pl

_EXAMPLES = 5


def describe(rows: pl.DataFrame, events: pl.DataFrame, catalogue: pl.DataFrame) -> dict[str, Any]:
    """Coverage, and the last events that have evidence, with titles."""
    related = pl.max_horizontal(
        pl.col("liked_similarities").list.first(), pl.col("disliked_similarities").list.first()
    )
    titles = dict(catalogue.select("item_id", "title").iter_rows())
    with_evidence = rows.filter(related > 0)
    examples = (
        with_evidence.tail(_EXAMPLES)
        .join(events.select("event_id", "item_id"), on="event_id", maintain_order="left")
        .rows(named=True)
    )
    return {
        "with_history_item": rows.filter(
            (pl.col("liked_ids").list.len() > 0) | (pl.col("disliked_ids").list.len() > 0)
        ).height
        / max(rows.height, 1),
        "with_related_item": with_evidence.height / max(rows.height, 1),
        "examples": pl.DataFrame(
            [
                {
                    "candidate": titles[row["item_id"]],
                    "liked": _named(row["liked_ids"], row["liked_similarities"], titles),
                    "disliked": _named(row["disliked_ids"], row["disliked_similarities"], titles),
                }
                for row in examples
            ],
            schema={"candidate": pl.Utf8, "liked": pl.Utf8, "disliked": pl.Utf8},
        ),
    }


def _named(ids: list[str], similarities: list[float], titles: dict[str, str]) -> str:
    pairs = zip(ids, similarities, strict=True)
    return "; ".join(f"{titles[item]} ({similarity:.2f})" for item, similarity in pairs)
