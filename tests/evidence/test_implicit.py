"""Evidence of implicit feedback: numbers as of likes and dislikes, words as of what was done."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from curec_assets.evidence import schema
from curec_assets.evidence.contracts import foreign_facts
from curec_assets.evidence.judge import graded
from curec_assets.evidence.named import name
from curec_assets.evidence.numbers import EvidenceNumbers
from curec_assets.settings import EvidenceSettings

History = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
SETTINGS = EvidenceSettings()
_SAID_OF_RATINGS = {*schema.IMPLICIT, "habit", "lately"}


@pytest.fixture(scope="module")
def implicit(history: History) -> pl.DataFrame:
    """Likes stand for what was done, the rest is drawn."""
    rating = pl.when("liked").then(pl.lit(1.0))
    return history[0].with_columns(rating=rating, event_id=pl.int_range(pl.len()).cast(pl.Utf8))


def test_what_is_drawn_counts_as_a_rating_of_nothing(
    implicit: pl.DataFrame, read: Callable[..., pl.DataFrame]
) -> None:
    asked = implicit.sample(200, seed=1)
    as_labels = implicit.with_columns(pl.col("rating").fill_null(0.0))
    assert read(implicit, asked).equals(read(as_labels, asked))


def test_facts_say_what_was_done_and_not_what_was_thought(
    implicit: pl.DataFrame, history: History
) -> None:
    _, items, embeddings = history
    numbers = EvidenceNumbers(implicit, items, embeddings, SETTINGS, 3)
    events = implicit.sort("timestamp").tail(300)
    named = name(numbers, events)
    strong = np.random.default_rng(0).choice([-3.0, 3.0], (events.height, len(schema.GROUPS)))
    judged = graded(np.full(events.height, 0.5), strong, named, SETTINGS)
    evidence = pl.concat([events.select("event_id"), judged], how="horizontal")
    facts = evidence.explode("facts").unnest("facts").drop_nulls("kind")
    kinds = set(facts["kind"])
    assert kinds.isdisjoint(_SAID_OF_RATINGS)
    assert {"demand", "choosers", "related"} <= kinds
    for numbers_behind in ("count", "of", "liked"):
        assert facts[numbers_behind].null_count() == facts.height
    # What is named was done before, by this user.
    assert foreign_facts(evidence, implicit).join(events, on="event_id", how="semi").is_empty()
    assert facts.filter(pl.col("kind") == "related").height > 100


def test_nobody_is_said_to_dislike_an_attribute_much(
    implicit: pl.DataFrame, history: History
) -> None:
    _, items, embeddings = history
    described = items.with_columns(
        attributes=pl.concat_list(
            pl.struct(kind=pl.lit("genre"), value=pl.col("item_id").str.tail(1))
        )
    )
    numbers = EvidenceNumbers(implicit, described, embeddings, SETTINGS, 3)
    events = implicit.sort("timestamp").tail(300)
    against = np.full((events.height, len(schema.GROUPS)), -3.0)
    judged = graded(np.full(events.height, 0.1), against, name(numbers, events), SETTINGS)
    facts = judged.explode("facts").unnest("facts").filter(pl.col("kind") == "attribute")
    assert facts.height > 20 and set(facts["strength"]) == {-2}
