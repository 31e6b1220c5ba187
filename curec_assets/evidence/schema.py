"""What the evidence stage says of an event, in one place: a probability, a level, graded facts."""

import polars as pl

KINDS = (
    "crowd",  # how the item is rated by everybody
    "trend",  # how it is rated of late
    "like_minded",  # what people of like mind made of it
    "related",  # what those who agree on one of the user's items (`value`) made of it
    "attribute",  # how the user fares with one of its attributes (`value`)
    "reviews",  # what reviews praise in it, or find fault with (`value`)
    "taste",  # how it fits the user's taste: factors and text
    "habit",  # how generous the user is
    "lately",  # how generous the user has been of late
    "new_item",  # hardly anyone has rated it: strength 0
    "new_user",  # hardly anything is known of the user: strength 0
)
"""Kinds of facts. All but the last two are groups of the evidence model's numbers: the
contribution of a fact is the sum of its group's, so contributions add up to the score."""
GROUPS = KINDS[:-2]
"""The kinds that are groups of numbers."""
IMPLICIT = {
    "crowd": "demand",  # how much the item is taken
    "trend": "demand_lately",  # how much of late
    "like_minded": "choosers",  # how much people of like mind take it
    "new_item": "untried",  # hardly anyone has taken it
    "new_user": "unseen",  # the user has hardly taken anything
}
"""Kind → what it is called where nobody rated anything, so that no reason says that somebody did.
Kinds `habit` and `lately` have nothing behind them there."""

FACT = pl.Struct(
    {
        "kind": pl.String(),
        "value": pl.String(),  # kind related: item id of the user's item; attribute: its value;
        # reviews: a word
        "liked": pl.Boolean(),  # kind related: whether the user liked that item; null where
        # feedback is implicit, and for all other kinds
        "contribution": pl.Float64(),  # log-odds
        "strength": pl.Int64(),  # -3 strongly against ... 3 strongly for
        "count": pl.Int64(),  # the numbers behind it: `count` of `of`; null where there are none
        "of": pl.Int64(),
    }
)
EVIDENCE = {
    "probability": pl.Float64(),  # of a like; null where no model of earlier events exists
    "level": pl.Int64(),  # 1 ... 9
    "facts": pl.List(FACT),  # strongest first, neutral ones left out
}
EVENT_EVIDENCE = pl.Schema({"event_id": pl.String(), **EVIDENCE})
"""Of each event of the snapshot."""
PREDICTIONS = pl.Schema(
    {
        "event_id": pl.String(),
        "split": pl.String(),
        "block": pl.Int64(),  # of training events, 0 the earliest; null elsewhere
        "probability": pl.Float64(),  # null in block 0
    }
)
"""`predictions.parquet` of the evidence model."""
