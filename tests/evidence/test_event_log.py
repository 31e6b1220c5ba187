"""A log of columns says what its definition says, to the last bit."""

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from curec_assets.evidence import event_log, text_components
from curec_assets.evidence.event_log import UNKNOWN, EventLog
from curec_assets.evidence.text_components import TextComponents

USERS, ITEMS, TIMES, STRENGTH = 6, 5, 8, 5.0


def rows_of(seed: int, size: int = 60) -> pl.DataFrame:
    """Few times, so that many events share one; ratings whose sums depend on their order."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "user_id": [f"u{n}" for n in rng.integers(0, USERS, size)],
            "item_id": [f"i{n}" for n in rng.integers(0, ITEMS, size)],
            "timestamp": rng.integers(0, TIMES, size),
            "rating": rng.uniform(0.0, 5.0, size),
        }
    ).with_columns(liked=pl.col("rating") > 2.5)


def added(values: list[float]) -> float:
    """One after the other."""
    total = 0.0
    for value in values:
        total += value
    return total


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), owner=st.sampled_from(["user_id", "item_id"]))
def test_sums_and_means_are_of_strictly_earlier_events_in_their_order(
    seed: int, owner: str
) -> None:
    rows = rows_of(seed)
    log = EventLog(rows)
    ordered = rows.sort("timestamp", "user_id", "item_id", maintain_order=True)
    index = log.by_user if owner == "user_id" else log.by_item
    known = log.user_ids if owner == "user_id" else log.item_ids
    codes = log.users if owner == "user_id" else log.items
    names, times = ordered[owner].to_list(), ordered["timestamp"].to_list()

    def of(name: str | None, time: int, values: list[float]) -> list[float]:
        return [
            value
            for value, each, when in zip(values, names, times, strict=True)
            if when < time and name in (each, None)
        ]

    ratings = log.ratings.tolist()
    np.testing.assert_array_equal(ratings, ordered["rating"])
    asked = np.random.default_rng(seed).permutation(
        [(code, time) for code in range(UNKNOWN, len(known)) for time in range(-1, TIMES + 1)]
    )
    owners, moments = np.ascontiguousarray(asked.T)
    total, count = index.total(log.ratings, owners, moments)
    latest, _ = index.total(log.liked, owners, moments, but=2)
    everything, _ = log.total(log.ratings, moments)
    for place, (code, time) in enumerate(asked.tolist()):
        mine = of(known[code], time, ratings) if code != UNKNOWN else []
        liked = of(known[code], time, log.liked.tolist()) if code != UNKNOWN else []
        assert total[place] == added(mine)
        assert count[place] == len(mine)
        assert latest[place] == added(liked[:-2])
        assert everything[place] == added(of(None, time, ratings))
    prior = np.random.default_rng(seed).uniform(size=len(log))
    means = index.means_before_each(log.ratings, STRENGTH, prior)
    for event, (code, time) in enumerate(zip(codes.tolist(), log.times.tolist(), strict=True)):
        mine = of(known[code], time, ratings)
        assert means[event] == (added(mine) + STRENGTH * prior[event]) / (len(mine) + STRENGTH)


def test_the_order_is_of_time_then_names_whatever_order_rows_come_in() -> None:
    rows = rows_of(1).unique(["user_id", "item_id", "timestamp"])
    ordered = rows.sort("timestamp", "user_id", "item_id")
    log = EventLog(rows.sample(fraction=1.0, shuffle=True, seed=2))
    assert log.user_ids.gather(log.users).to_list() == ordered["user_id"].to_list()
    assert log.item_ids.gather(log.items).to_list() == ordered["item_id"].to_list()
    assert log.liked.tolist() == ordered["liked"].cast(pl.Float64).to_list()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), growth=st.floats(1.01, 1.5), many=st.integers(5, 200))
def test_what_comes_later_moves_no_earlier_fit(seed: int, growth: float, many: int) -> None:
    rows = rows_of(seed).sort("timestamp")
    of_all = EventLog(rows).sizes(5, growth, many).tolist()
    for size in range(5, rows.height):
        log = EventLog(rows[:size])
        cut = int(rows["timestamp"].search_sorted(log.times[-1], "right"))
        if cut == size:  # the next event is of another time
            found = log.sizes(5, growth, many).tolist()
            assert found == [each for each in of_all if each <= size]


@pytest.mark.parametrize("at_once", [7, 1000])
def test_the_digest_of_a_beginning_does_not_depend_on_how_much_is_hashed_at_once(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(event_log, "_ROWS", at_once)
    log, hasher = EventLog(rows_of(3)), hashlib.sha256()
    for known, codes in ((log.user_ids, log.users), (log.item_ids, log.items)):
        hasher.update(known.gather(codes[:40]).to_frame().write_ndjson().encode())
    for values in (log.times, log.ratings, log.liked.astype(np.float64)):
        hasher.update(values[:40].tobytes())
    assert log.beginning(40) == hasher.hexdigest()


def test_components_by_blocks_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    vectors = (rng.normal(size=(400, 12)) * np.arange(1, 13) + 3.0).astype(np.float32)
    rows = pl.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(400)],
            "embedding": pl.Series(vectors, dtype=pl.Array(pl.Float32, 12)),
        }
    )
    whole = TextComponents.of(rows, 4, seed=1)
    expected = PCA(4, svd_solver="full").fit_transform(vectors.astype(np.float64))
    np.testing.assert_allclose(whole.values, expected / expected.std(), atol=1e-9)
    monkeypatch.setattr(text_components, "_AT_ONCE", 37)
    np.testing.assert_allclose(TextComponents.of(rows, 4, seed=1).values, whole.values, atol=1e-9)
    found = whole.of_items(pl.Series(["i3", "nothing"]), 6)
    np.testing.assert_array_equal(found[0], [1.0, *whole.values[3], 0.0, 0.0])
    assert not found[1].any()


def test_texts_that_are_all_the_same_tell_nothing() -> None:
    vectors = np.full((5, 3), 0.1, dtype=np.float32)
    same = pl.DataFrame(
        {
            "item_id": list("abcde"),
            "embedding": pl.Series(vectors, dtype=pl.Array(pl.Float32, 3)),
        }
    )
    assert not TextComponents.of(same, 2, seed=1).of_items(same["item_id"], 2).any()
