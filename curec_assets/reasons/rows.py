"""A written reason as a stored row: what it says, and the numbers behind it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

from curec_assets.explanation.facts import Facts
from curec_assets.explanation.writing import WrittenReason, facts_cited, shortened

CITED_FACT = pl.Struct(
    {
        "kind": pl.String(),  # `evidence.schema.KINDS`
        "value": pl.String(),  # title of the user's item, attribute's value, or word; else empty
        "attribute": pl.String(),  # which attribute has the value
        "liked": pl.Boolean(),  # whether the user liked the item of the title
        "strength": pl.Int64(),  # -3 strongly against ... 3 strongly for
        "count": pl.Int64(),  # `count` of `of`; null where there are no such numbers
        "of": pl.Int64(),
        "contribution": pl.Float64(),  # to the evidence model's score, in log-odds
    }
)
REASON = pl.Schema(
    {
        "reason": pl.String(),
        "verdict": pl.String(),  # the first sentence of the reason, and
        "why": pl.String(),  # the rest
        "level": pl.Int64(),  # 1 to 9
        "expected_level": pl.Float64(),
        "cited": pl.List(pl.String()),  # handles
        "facts": pl.List(CITED_FACT),  # what they stand for
        "uncited": pl.List(pl.Float64()),  # contributions of the facts that were offered besides
        "grounded": pl.Boolean(),
        "first_grounded": pl.Boolean(),
        "source": pl.String(),
        "attempts": pl.Int64(),
        "facts_left_out": pl.Int64(),
    }
)
"""What is stored of a reason wherever one is; see `WrittenReason`."""


def reason_rows(written: Sequence[WrittenReason], facts: Sequence[Facts]) -> pl.DataFrame:
    """`REASON`: one row per reason. `facts`: those of the requests."""
    rows = [_row(each, offered) for each, offered in zip(written, facts, strict=True)]
    return pl.DataFrame(rows, schema=REASON)


def _row(written: WrittenReason, facts: Facts) -> dict[str, Any]:
    offered = shortened(facts, written.facts_left_out).handles
    return {
        **asdict(written),
        "facts": [asdict(fact) for fact in facts_cited(written, facts)],
        "uncited": [
            fact.contribution
            for handle, fact in offered.items()
            if handle not in written.cited and fact.strength
        ],
    }
