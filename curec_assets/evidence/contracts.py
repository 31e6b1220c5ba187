"""What must hold of the evidence, whatever it is worth."""

import polars as pl


def foreign_evidence(evidence: pl.DataFrame, histories: pl.DataFrame) -> pl.DataFrame:
    """Evidence that is not in its event's history with that label; events without evidence."""
    known = histories.select("event_id", item="item_ids", liked="likes").explode("item", "liked")
    shown = pl.concat(
        evidence.select("event_id", item=column, liked=pl.lit(liked)).explode("item")
        for column, liked in (("liked_ids", True), ("disliked_ids", False))
    ).drop_nulls("item")
    foreign = shown.join(known, on=["event_id", "item", "liked"], how="anti")
    missing = histories.join(evidence, on="event_id", how="anti").select("event_id")
    return pl.concat([foreign, missing], how="diagonal").sort("event_id")
