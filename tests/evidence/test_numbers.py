"""Laws of the evidence numbers: nothing at or after a query's time is in them."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from curec_assets.datasets.sources.toy import ToySource
from curec_assets.evidence.factors import COLUMNS as FACTORS
from curec_assets.evidence.numbers import COLUMNS, EvidenceNumbers
from curec_assets.settings import EvidenceSettings
from tests.support.made_up_opinions import made_up_opinions
from tests.support.reading import all_rows

SEED = 3


@pytest.fixture(scope="module")
def items() -> pl.DataFrame:
    return ToySource(SEED).items().select("item_id", "year", "attributes")


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    rows = all_rows(ToySource(SEED)).unique(["user_id", "item_id", "timestamp"])
    return rows.select(
        *("user_id", "item_id", "timestamp", "rating"),
        liked=pl.col("rating") >= 4,
        opinions=made_up_opinions(np.random.default_rng(SEED), rows.height),
    ).sort("timestamp", "user_id", "item_id")


@pytest.fixture(scope="module")
def embeddings(items: pl.DataFrame) -> pl.DataFrame:
    vectors = np.random.default_rng(SEED).normal(size=(items.height, 8)).astype(np.float32)
    return pl.DataFrame(
        {
            "item_id": items["item_id"],
            "embedding": pl.Series(vectors, dtype=pl.Array(pl.Float32, 8)),
        }
    )


Read = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]


@pytest.fixture(scope="module")
def read(items: pl.DataFrame, embeddings: pl.DataFrame) -> Read:
    def numbers(known: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
        return EvidenceNumbers(known, items, embeddings, EvidenceSettings(), SEED).read(asked)

    return numbers


@settings(max_examples=8, deadline=None)
@given(cut=st.integers(600, 1400), change=st.sampled_from(["flip", "remove", "reorder"]))
def test_what_happens_at_or_after_a_time_is_in_no_number(
    events: pl.DataFrame, read: Read, cut: int, change: str
) -> None:
    now = events["timestamp"][cut]
    asked = events.filter(pl.col("timestamp") <= now)
    later = pl.col("timestamp") >= now
    if change == "flip":
        changed = events.with_columns(
            rating=pl.when(later).then(6 - pl.col("rating")).otherwise("rating"),
            liked=pl.when(later).then(~pl.col("liked")).otherwise("liked"),
            opinions=pl.when(later).then(pl.lit("-story +new")).otherwise("opinions"),
        )
    elif change == "remove":
        changed = events.filter(~later)
    else:
        changed = events.sample(fraction=1.0, shuffle=True, seed=cut)
    assert read(changed, asked).equals(read(events, asked))


def test_what_happened_before_is_in_the_numbers(events: pl.DataFrame, read: Read) -> None:
    asked = events.tail(100)
    changed = events.with_columns(
        rating=pl.when(pl.int_range(pl.len()) < 1000)
        .then(6 - pl.col("rating"))
        .otherwise("rating"),
        liked=pl.when(pl.int_range(pl.len()) < 1000).then(~pl.col("liked")).otherwise("liked"),
        opinions=pl.when(pl.int_range(pl.len()) < 1000)
        .then(pl.lit("-story +new"))
        .otherwise("opinions"),
    )
    before, after = read(events, asked), read(changed, asked)
    counts = {"user_events", "item_events", "item_age", "item_idle", "user_age", "user_gap"}
    counts |= {"session_position", "user_popularity", "attribute_support"}
    counts |= {"ease_met", "release_age", "release_known"}
    counts |= {"session_residual"}  # these sessions begin after what is changed
    same = [name for name in COLUMNS if before[name].equals(after[name])]
    assert set(same) <= counts


def test_numbers_are_of_their_row_whatever_else_is_asked(events: pl.DataFrame, read: Read) -> None:
    asked = events.tail(200).sample(fraction=1.0, shuffle=True, seed=1)
    together = read(events, asked)
    assert read(events, asked[:40]).equals(together[:40])


def test_a_stranger_and_a_new_item_have_finite_numbers(events: pl.DataFrame, read: Read) -> None:
    asked = pl.DataFrame(
        {
            "user_id": ["nobody", events["user_id"][0], "nobody"],
            "item_id": [events["item_id"][0], "nothing", "nothing"],
            "timestamp": [events["timestamp"].max()] * 3,
        }
    )
    numbers = read(events, asked)
    assert numbers.columns == list(COLUMNS)
    assert np.isfinite(numbers.to_numpy()).all()
    assert numbers["user_events"].to_list()[0] == numbers["item_events"].to_list()[1] == 0.0


def test_an_item_that_is_new_has_no_factors_though_it_comes_later(
    events: pl.DataFrame, read: Read
) -> None:
    newest = events.filter(pl.col("item_id").is_first_distinct())[-1:]
    habit = events.filter(
        pl.col("user_id") == newest["user_id"][0], pl.col("timestamp") < newest["timestamp"][0]
    )
    assert habit.height > 5
    assert read(events, newest).select(list(FACTORS)).row(0) == (0.0, 0.0, 1.0)


def test_the_first_event_of_all_has_finite_numbers(events: pl.DataFrame, read: Read) -> None:
    assert np.isfinite(read(events, events[:3]).to_numpy()).all()
    assert np.isfinite(read(events[:1], events[:1]).to_numpy()).all()


def test_the_mean_rating_tells_likes_from_dislikes(events: pl.DataFrame, read: Read) -> None:
    asked = events.tail(700)
    numbers = read(events, asked)
    assert roc_auc_score(asked["liked"], numbers["item_mean"]) > 0.55


def test_what_users_and_items_are_called_does_not_matter(
    events: pl.DataFrame, items: pl.DataFrame, embeddings: pl.DataFrame
) -> None:
    """Names dealt anew, so that their order is another. (Factors start at random by item: for them
    another name is another seed.)
    """
    rng = np.random.default_rng(9)
    names = {
        column: dict(zip(known, rng.permutation(known), strict=True))
        for column, known in (
            ("user_id", events["user_id"].unique().sort().to_list()),
            ("item_id", items["item_id"].to_list()),
        )
    }

    def called(rows: pl.DataFrame) -> pl.DataFrame:
        given = [pl.col(name).replace(names[name]) for name in names if name in rows.columns]
        return rows.with_columns(given)

    asked = events.tail(300)
    found = EvidenceNumbers(events, items, embeddings, EvidenceSettings(), SEED).read(asked)
    renamed = EvidenceNumbers(
        called(events), called(items), called(embeddings), EvidenceSettings(), SEED
    ).read(called(asked))
    for name in set(COLUMNS) - set(FACTORS):
        np.testing.assert_allclose(renamed[name], found[name], atol=1e-4, err_msg=name)
