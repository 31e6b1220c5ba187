"""Candidates and features know the past and nothing else."""

from collections.abc import Callable

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.recommender.two_stage import Store
from curec_assets.retrieval.features import FEATURES
from tests.retrieval.conftest import DAY, ITEMS, Event, events

_EVENTS = st.lists(
    st.tuples(
        st.sampled_from("uvwz"),
        st.sampled_from(ITEMS),
        st.booleans(),
        st.sampled_from([0, 5, 9, 600, 900, 1200, 1800, DAY, 9 * DAY, 9 * DAY + 1, 80 * DAY]),
    ),
    max_size=60,
)
_TIMES = st.sampled_from([0, 6, 900, 901, 1800, DAY, 9 * DAY + 1, 80 * DAY, 81 * DAY])


def _read(store: Store, time: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Candidates and features of four known users and an unknown one, tables fitted on the way."""
    users = ["u", "v", "w", "z", "nobody"]
    asked = store.timeline.ask(pl.DataFrame({"user_id": users}).with_columns(timestamp=time))
    parts = store.parts(asked, store.refitted(asked, every=3))
    return [(part.proposed.items, part.features(part.proposed.valid)) for part in parts]


@given(_EVENTS, _EVENTS, _TIMES, st.randoms(use_true_random=False))
def test_nothing_at_or_after_a_time_changes_candidates_or_features(
    store_of: Callable[[pl.DataFrame], Store],
    log: list[Event],
    other: list[Event],
    time: int,
    random: object,
) -> None:
    past = [event for event in log if event[3] < time]
    future = [event for event in log if event[3] >= time]
    flipped = [(user, item, not liked, at) for user, item, liked, at in future]
    shuffled = [*past, *future]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    elsewhere = [(user, item, liked, at + time) for user, item, liked, at in other]
    expected = _read(store_of(events(log)), time)
    for changed in (past, [*past, *flipped], shuffled, [*past, *elsewhere]):
        found = _read(store_of(events(changed)), time)
        for (items, features), (own_items, own_features) in zip(expected, found, strict=True):
            np.testing.assert_array_equal(items, own_items)
            np.testing.assert_array_equal(features, own_features)


@given(_EVENTS, _TIMES)
def test_candidates_are_new_to_the_user_distinct_and_described_by_numbers(
    store_of: Callable[[pl.DataFrame], Store], log: list[Event], time: int
) -> None:
    seen = {(user, item) for user, item, _, at in log if at < time}
    liked = {item for _, item, likes, at in log if likes and at < time}
    for items, features in _read(store_of(events(log)), time):
        assert features.shape[1] == len(FEATURES)
        assert np.isfinite(features).all()
        for user, row in zip(["u", "v", "w", "z", "nobody"], items, strict=True):
            proposed = [ITEMS[item] for item in row if item >= 0]
            assert len(proposed) == len(set(proposed))
            assert not {(user, item) for item in proposed} & seen
            # there is always something while something liked is new to the user
            assert proposed or all((user, item) in seen for item in liked)
