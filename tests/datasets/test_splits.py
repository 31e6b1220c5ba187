"""Splits partition events in time and never cut a timestamp; folds are by user."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curec_assets.core.seeds import derive
from curec_assets.datasets.contracts import split_disorder
from curec_assets.datasets.sources.toy import ToySource
from curec_assets.datasets.splits import assign_splits, user_folds
from curec_assets.settings import SplitSettings
from resources.errors import DataError
from tests.support.reading import events_of

SETTINGS = SplitSettings()


def snapshot(times: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "event_id": [f"{index:04}" for index in range(len(times))],
            "user_id": [f"u{index % 7}" for index in range(len(times))],
            "item_id": "i",
            "rating": 1.0,
            "liked": True,
            "timestamp": times,
        }
    ).sample(fraction=1.0, shuffle=True, seed=3)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 15), min_size=3, max_size=80).filter(lambda ts: len(set(ts)) >= 3),
    st.floats(0.05, 0.85),
)
def test_splits_partition_in_time(times: list[int], train: float) -> None:
    events = snapshot(times)
    found = assign_splits(events, SplitSettings(train_fraction=train, validation_fraction=0.1), 1)
    assert split_disorder(found) == []
    assert found["event_id"].sort().equals(events["event_id"].sort())
    assert found.group_by("timestamp").agg(pl.col("split").n_unique())["split"].max() == 1
    outside = found.filter(pl.col("split") != "train")
    assert outside["fold"].null_count() == outside.height
    train_part = found.filter(pl.col("split") == "train")
    assert train_part["fold"].null_count() == 0
    assert train_part.group_by("user_id").agg(pl.col("fold").n_unique())["fold"].max() == 1


def test_shares_are_as_asked_where_times_allow() -> None:
    found = assign_splits(snapshot(list(range(100))), SETTINGS, 1)
    assert dict(found["split"].value_counts().iter_rows()) == {
        "train": 80,
        "validation": 10,
        "test": 10,
    }


def test_a_user_keeps_the_fold_when_others_arrive() -> None:
    few = assign_splits(snapshot(list(range(10))), SETTINGS, 5)
    many = assign_splits(snapshot(list(range(90))), SETTINGS, 5)

    def folds(frame: pl.DataFrame) -> dict[str, str]:
        return dict(frame.drop_nulls("fold").select("user_id", "fold").iter_rows())

    assert folds(few).items() <= folds(many).items()


def test_folds_follow_seed_and_share() -> None:
    users = [f"user {number}" for number in range(2000)]
    first, second = (user_folds(pl.Series(users), 0.3, seed).to_list() for seed in (1, 2))
    assert first != second
    assert 0.25 < first.count("reward") / len(users) < 0.35


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=20),
    st.floats(0.0, 1.0),
    st.integers(0, 2**40),
)
def test_a_fold_is_by_the_seed_of_the_user(users: list[str], share: float, seed: int) -> None:
    found = user_folds(pl.Series(users, dtype=pl.String), share, seed).to_list()
    below = [derive(seed, "fold", user) / 2**63 < share for user in users]
    assert found == ["reward" if each else "policy" for each in below]


def test_too_few_times_are_refused() -> None:
    with pytest.raises(DataError, match="found 2 distinct times in 3 events, expected at least 3"):
        assign_splits(snapshot([1, 1, 2]), SETTINGS, 1)


def test_toy_has_users_in_both_folds() -> None:
    source = ToySource(20260101)
    events = events_of(source, source.items()["item_id"], 4.0)
    train = assign_splits(events, SETTINGS, 20260101).filter(pl.col("split") == "train")
    users = dict(train.group_by("fold").agg(pl.col("user_id").n_unique()).iter_rows())
    assert min(users["reward"], users["policy"]) > 15
