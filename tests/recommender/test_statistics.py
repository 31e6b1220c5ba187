"""Running statistics know the past and nothing else."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from curec_assets.recommender.statistics import (
    FEATURES,
    Smoothing,
    item_attributes,
    running_statistics,
)

_EVENTS = st.lists(
    st.tuples(
        st.sampled_from("uvw"),
        st.sampled_from("abcd"),
        st.integers(1, 5),
        st.integers(0, 12),
    ),
    min_size=1,
    max_size=30,
)
_SMOOTHING = Smoothing(prior=5.0, recent_half_life=5.0)
_ATTRIBUTES = pl.DataFrame({"item_id": ["a", "a", "b", "c"], "attribute": ["x", "y", "x", "y"]})


def _log(events: list[tuple[str, str, int, int]]) -> pl.DataFrame:
    frame = pl.DataFrame(
        events, schema=["user_id", "item_id", "rating", "timestamp"], orient="row"
    ).with_columns(pl.col("rating").cast(pl.Float64))
    return frame.with_columns(liked=pl.col("rating") >= 4)


@given(_EVENTS, st.integers(0, 12), st.data())
def test_nothing_at_or_after_a_time_changes_a_feature_up_to_it(
    events: list[tuple[str, str, int, int]], time: int, data: st.DataObject
) -> None:
    log = _log(events)
    past = log.filter(pl.col("timestamp") < time)
    other_future = _log([(u, i, r, t + time) for u, i, r, t in data.draw(_EVENTS)])
    queries = log.filter(pl.col("timestamp") <= time)
    changed = pl.concat([past, other_future])
    assert_frame_equal(
        running_statistics(log, _ATTRIBUTES, queries, _SMOOTHING),
        running_statistics(
            changed.sample(fraction=1, shuffle=True, seed=1), _ATTRIBUTES, queries, _SMOOTHING
        ),
        check_exact=True,
    )


@given(_EVENTS)
def test_features_are_finite_and_rates_are_shares(events: list[tuple[str, str, int, int]]) -> None:
    log = _log(events)
    features = running_statistics(log, _ATTRIBUTES, log, _SMOOTHING)
    assert features.columns == list(FEATURES)
    assert features.select(pl.all_horizontal(pl.all().is_finite().all())).item()
    rates = features.select(pl.col("^.*like_rate$")).to_numpy()
    assert ((rates >= 0) & (rates <= 1)).all()


def test_a_smoothed_mean_by_hand() -> None:
    log = _log([("u", "a", 5, 0), ("v", "a", 5, 1), ("v", "b", 1, 2)])
    query = pl.DataFrame({"user_id": ["w"], "item_id": ["a"], "timestamp": [3]})
    features = running_statistics(log, _ATTRIBUTES, query, _SMOOTHING)
    # everybody: 2 of 3 liked; the item: 2 of 2; five events of prior belief
    assert features["item_like_rate"].item() == pytest.approx((2 + 5 * 2 / 3) / (2 + 5))
    assert features["user_like_rate"].item() == pytest.approx(2 / 3)


def test_affinity_follows_what_the_user_likes() -> None:
    log = _log([("u", "a", 5, 0), ("u", "c", 1, 1), ("v", "b", 3, 2)])
    queries = pl.DataFrame({"user_id": ["u", "u"], "item_id": ["b", "d"], "timestamp": [3, 3]})
    affinity = running_statistics(log, _ATTRIBUTES, queries, _SMOOTHING)["affinity"]
    assert affinity[0] > 0  # b shares x with the liked a
    assert affinity[1] == 0  # d has no attribute


def test_attributes_of_an_item_are_counted_once() -> None:
    kind = pl.Struct({"kind": pl.String, "value": pl.String})
    genre = {"kind": "genre", "value": "Drama"}
    items = pl.DataFrame(
        {"item_id": ["a", "b", "c"], "attributes": [[genre, genre], [], None]},
        schema_overrides={"attributes": pl.List(kind)},
    )
    assert item_attributes(items).rows() == [("a", "genre=Drama")]
