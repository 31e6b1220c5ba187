"""The asset of this stage: what it reads, depends on and writes, and how it is made."""

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import table
from curec_assets.datasets import schema
from curec_assets.evidence.describe import describe


@table(
    group="evidence",
    kinds={"duckdb", "polars"},
    key=["event_id"],
    schema=schema.COLLABORATIVE_EVIDENCE,
    tables=("interactions", "event_splits", "histories"),
    settings=("evidence.shrinkage", "evidence.max_liked", "evidence.max_disliked"),
    describe=lambda rows, inputs: describe(
        rows, inputs.table("interactions"), inputs.table("items")
    ),
    describe_tables=("items",),
)
def collaborative_evidence(inputs: Inputs) -> pl.DataFrame:
    """For every event, the history items that other users' earlier training likes relate to it."""
    from curec_assets.evidence import collaborative

    return collaborative.collaborative_evidence(
        collaborative.train_likes(inputs.table("event_splits")),
        inputs.table("interactions"),
        inputs.table("histories", ["event_id", "item_ids", "likes", "timestamps"]),
        inputs.settings.evidence,
    )


RECIPES = (collaborative_evidence,)
