"""The synthetic set: the same from the same seed, and with structure to find."""

import polars as pl
import pytest

from curec_assets.datasets.sources.toy import N_EVENTS, N_ITEMS, N_USERS, ToySource
from tests.support.reading import all_rows
from tests.support.source_contract import SourceContract


class TestToy(SourceContract):
    """Each law of the contract."""

    @pytest.fixture
    def opened(self) -> ToySource:
        return ToySource(1)


def test_shape() -> None:
    source = ToySource(1)
    events, items = all_rows(source), source.items()
    assert (events["user_id"].n_unique(), items.height) == (N_USERS, N_ITEMS)
    assert abs(events.height - N_EVENTS) <= 30
    assert items["title"].n_unique() == N_ITEMS
    assert events.select("user_id", "item_id").is_unique().all()
    assert events["timestamp"].n_unique() < events.height, "some timestamps are tied"
    assert events.group_by("user_id", "timestamp").len()["len"].max() > 1, "also of one user"


def test_the_seed_decides() -> None:
    assert not all_rows(ToySource(1)).equals(all_rows(ToySource(2)))
    assert ToySource(1).items_fingerprint() != ToySource(2).items_fingerprint()


def test_earlier_ratings_of_a_genre_tell_about_the_next() -> None:
    source = ToySource(1)
    genres = (
        source.items()
        .select("item_id", "attributes")
        .explode("attributes")
        .unnest("attributes")
        .filter(pl.col("kind") == "genre")
        .select("item_id", "value")
    )
    events = all_rows(source).join(genres, on="item_id").sort("timestamp")
    means = events.with_columns(
        before=(pl.col("rating").cum_sum() - pl.col("rating")).over("user_id", "value")
        / pl.col("rating").cum_count().sub(1).over("user_id", "value")
    ).filter(pl.col("before").is_finite())
    assert means.select(pl.corr("before", "rating")).item() > 0.3
