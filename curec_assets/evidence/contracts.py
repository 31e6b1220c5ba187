"""What must hold of the evidence, whatever it is worth."""

import polars as pl


def foreign_facts(event_evidence: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Facts about an item that the user had not met before with that label; missing events.

    A fact without a label, where feedback is implicit, is of something that the user did.

    `event_evidence`: event_id, facts. `events`: event_id, user_id, item_id, liked, timestamp.
    """
    named = (
        event_evidence.select("event_id", "facts")
        .explode("facts")
        .drop_nulls("facts")
        .unnest("facts")
        .filter(pl.col("kind") == "related")
        .select("event_id", "value", pl.col("liked").fill_null(value=True))
        .join(events.select("event_id", "user_id", "timestamp"), on="event_id", how="left")
    )
    earlier = events.select("user_id", "liked", value="item_id", time="timestamp")
    met = named.join(earlier, on=["user_id", "value", "liked"]).filter(
        pl.col("time") < pl.col("timestamp")
    )
    foreign = named.join(met, on=["event_id", "value", "liked"], how="anti")
    missing = events.join(event_evidence, on="event_id", how="anti").select("event_id")
    return pl.concat([foreign, missing], how="diagonal").sort("event_id")


def wrong_scores(predictions: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Events without prediction, or with one that breaks the rule: none in the first block of the
    training events, and one strictly between 0 and 1 everywhere else.

    `predictions`: event_id, block, probability.
    """
    joined = events.select("event_id", "split").join(
        predictions.select("event_id", "block", "probability"), on="event_id", how="left"
    )
    probability, block = pl.col("probability"), pl.col("block")
    inside = (probability > 0) & (probability < 1)
    right = (
        pl.when(pl.col("split") != "train")
        .then(block.is_null() & inside)
        .when(block == 0)
        .then(probability.is_null())
        .otherwise(inside)
    )
    return joined.filter(~right.fill_null(False)).sort("event_id")
