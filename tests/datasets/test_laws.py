"""Laws of histories, on small random event logs."""

from dataclasses import dataclass
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from curec_assets.datasets import schema
from curec_assets.datasets.histories import histories_at, histories_of
from curec_assets.datasets.splits import assign_splits
from curec_assets.settings import SplitSettings
from tests.support.event_ids import event_id

MAX_HISTORY = 4
SPLIT = SplitSettings()
Event = tuple[str, str, int, float]  # user, item, time, rating

users = st.sampled_from(["u1", "u2", "u3", "u10", "ü"])
items = st.sampled_from(["a", "b", "c", "d", "10", "9"])
times = st.integers(0, 9)
ratings = st.sampled_from([1.0, 2.0, 4.0, 5.0])
logs = st.lists(
    st.tuples(users, items, times, ratings), min_size=3, max_size=40, unique_by=lambda e: e[:3]
).filter(lambda events: len({time for _, _, time, _ in events}) >= 3)

# Few users, items and times, mostly likes: many events of one time.
dense_logs = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "u3"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 4),
        st.sampled_from([1.0, 5.0, 5.0]),
    ),
    min_size=12,
    max_size=30,
    unique_by=lambda e: e[:3],
).filter(lambda events: len({time for _, _, time, _ in events}) >= 3)


def frame(events: list[Event]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "event_id": event_id(user, item, time),
                "user_id": user,
                "item_id": item,
                "rating": rating,
                "liked": rating >= 4,
                "timestamp": time,
            }
            for user, item, time, rating in events
        ],
        schema=schema.INTERACTIONS,
    )


@dataclass
class Derived:
    events: pl.DataFrame
    splits: pl.DataFrame
    histories: pl.DataFrame


def derive(events: list[Event]) -> Derived:
    table = frame(events)
    splits = assign_splits(table, SPLIT, seed=7)
    return Derived(table, splits, histories_of(splits, table, MAX_HISTORY))


@settings(deadline=None, max_examples=100)
@given(dense_logs, st.data())
def test_the_present_and_future_never_reach_back(events: list[Event], data: st.DataObject) -> None:
    time = data.draw(st.sampled_from(sorted({time for _, _, time, _ in events})))
    past = [event for event in events if event[2] < time]
    later = [event for event in events if event[2] >= time]
    changed = [
        (
            user,
            data.draw(st.sampled_from([item, item + "'"])),
            moment,
            data.draw(ratings),
        )
        for user, item, moment, _ in data.draw(st.permutations(later))
    ]

    before = derive(events)
    after = derive(past + changed)

    # Past events: everything is the same.
    known = frame(past)["event_id"]
    chosen = pl.col("event_id").is_in(known.implode())
    assert before.histories.filter(chosen).equals(after.histories.filter(chosen))
    # Events of that very time that keep user and item: their own rating changes nothing.
    present = frame([event for event in later if event[2] == time])["event_id"]
    same = pl.col("event_id").is_in(present.implode()) & pl.col("event_id").is_in(
        after.events["event_id"].implode()
    )
    old, new = before.histories.filter(same), after.histories.filter(same)
    assert old.sort("event_id").equals(new.sort("event_id"))


@settings(deadline=None, max_examples=50)
@given(logs, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(events: list[Event], random: Any) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)
    before, after = derive(events), derive(shuffled)
    for name in ("splits", "histories"):
        assert getattr(before, name).equals(getattr(after, name)), name


@settings(deadline=None, max_examples=100)
@given(logs)
def test_histories_equal_their_definition(events: list[Event]) -> None:
    table = frame(events)
    found = histories_of(table, table, MAX_HISTORY)
    assert found.schema == schema.HISTORIES
    assert found["event_id"].to_list() == table["event_id"].to_list()
    by_id = {event_id(*event[:3]): event for event in events}
    for row in found.rows(named=True):
        user, _, time, _ = by_id[row["event_id"]]
        earlier = sorted(
            (e for e in events if e[0] == user and e[2] < time),
            key=lambda e: (e[2], event_id(*e[:3])),
        )
        shown = earlier[-MAX_HISTORY:]
        assert row["user_id"] == user
        assert row["item_ids"] == [e[1] for e in shown]
        assert row["ratings"] == [e[3] for e in shown]
        assert row["likes"] == [e[3] >= 4 for e in shown]
        assert row["timestamps"] == [e[2] for e in shown]
        assert row["length"] == len(earlier)


@settings(deadline=None, max_examples=50)
@given(logs, times)
def test_a_history_at_a_time_is_the_history_of_an_event_at_that_time(
    events: list[Event], time: int
) -> None:
    asked = ["u1", "nobody", "ü"]
    found = histories_at(frame(events), asked, time, MAX_HISTORY)
    assert found["user_id"].to_list() == asked
    probes = [(user, "probe", time, 5.0) for user in asked]
    log = frame(events + probes)
    expected = histories_of(log, log, MAX_HISTORY)
    for user in asked:
        row = expected.filter(pl.col("event_id") == event_id(user, "probe", time))
        assert found.filter(pl.col("user_id") == user).equals(row.drop("event_id"))


def test_without_a_time_the_history_is_complete() -> None:
    table = frame([("u1", "a", 1, 5.0), ("u1", "b", 2**40, 1.0)])
    found = histories_at(table, ["u1"], None, MAX_HISTORY)
    assert found["item_ids"].to_list() == [["a", "b"]]
