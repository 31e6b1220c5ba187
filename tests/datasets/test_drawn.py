"""What is drawn beside implicit events: never done, of the past, and never drawn anew."""

from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from curec_assets.datasets import schema
from curec_assets.datasets.drawn import drawn_beside, drawn_ids, with_drawn
from curec_assets.datasets.interactions import with_event_ids

Event = tuple[str, str, int, int]  # user, item, time, batch
PER_EVENT = 2
CATALOGUE = pl.Series("item_id", ["a", "b", "c", "d", "e"])  # not `f`

logs = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "u3", "u4"]),
        st.sampled_from(["a", "b", "c", "d", "e", "f"]),
        st.integers(0, 9),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda event: event[:3],
)


def ledger(events: Sequence[Event]) -> pl.DataFrame:
    columns = {"user_id": pl.Utf8, "item_id": pl.Utf8, "timestamp": pl.Int64, "batch": pl.Int64}
    rows = pl.DataFrame(events, schema=columns, orient="row")
    return with_event_ids(rows).with_columns(revision=pl.lit(1, pl.Int64))


def drawn(asked: pl.DataFrame, stored: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Id → row."""
    events = asked.filter(pl.col("item_id").is_in(CATALOGUE.implode()))
    found = drawn_beside(events, stored, CATALOGUE, PER_EVENT)
    assert found.schema == schema.INTERACTIONS
    return {row["event_id"]: row for row in found.iter_rows(named=True)}


@settings(max_examples=25)  # each asks DuckDB several times
@given(logs)
def test_what_is_drawn_is_of_the_past_and_was_not_done(events: list[Event]) -> None:
    stored = ledger(events)
    rows = {row["event_id"]: row for row in stored.iter_rows(named=True)}
    owners = dict(drawn_ids(stored["event_id"], PER_EVENT).select("event_id", "owner").iter_rows())
    found = drawn(stored, stored)
    for event_id, row in found.items():
        owner = rows[owners[event_id]]
        user, time, batch = owner["user_id"], owner["timestamp"], owner["batch"]
        earlier = {e[1] for e in events if e[2] < time and e[3] <= batch}
        met = {e[1] for e in events if e[0] == user and e[2] < time and e[3] <= batch}
        now = {e[1] for e in events if e[0] == user and e[2] == time and e[3] <= batch}
        assert (row["user_id"], row["timestamp"]) == (user, time)
        assert row["item_id"] in set(CATALOGUE) - now
        for group in (met, earlier):  # the same is new: to the user, and to all
            assert (row["item_id"] in group) == (owner["item_id"] in group)
        assert row["rating"] is None and not row["liked"]
    # Where there is something to draw, it is drawn.
    for event_id, owner_id in owners.items():
        user, item, time, batch = (
            rows[owner_id][name] for name in ("user_id", "item_id", "timestamp", "batch")
        )
        known = [e for e in events if e[3] <= batch and e[1] in set(CATALOGUE)]
        own = {e[1] for e in known if e[0] == user and e[2] <= time}
        now = {e[1] for e in known if e[0] == user and e[2] == time}
        before = {e[1] for e in known if e[0] == user and e[2] < time}
        there = {e[1] for e in known if e[2] < time}
        like_it = before if item in before else there - own
        if item not in there:
            like_it = set(CATALOGUE) - there
        if item in set(CATALOGUE):
            assert (event_id in found) == bool(like_it - now)


@settings(max_examples=25)  # each asks DuckDB several times
@given(logs)
def test_what_arrives_later_changes_nothing(events: list[Event]) -> None:
    for batch in (1, 2):
        stored = ledger(events)
        early = stored.filter(pl.col("batch") <= batch)
        assert drawn(early, early) == drawn(early, stored)


@settings(max_examples=25)  # each asks DuckDB several times
@given(logs)
def test_without_one_user_what_was_drawn_of_others_stays(events: list[Event]) -> None:
    stored = ledger(events)
    rest = stored.filter(pl.col("user_id") != "u1")
    theirs = set(stored.filter(user_id="u1")["item_id"])
    own = dict(
        drawn_ids(rest["event_id"], PER_EVENT)
        .join(rest.select("item_id", owner="event_id"), on="owner")
        .select("event_id", "item_id")
        .iter_rows()
    )
    before, after = drawn(rest, stored), drawn(rest, rest)
    for event_id in before.keys() | after.keys():
        one, other = before.get(event_id), after.get(event_id)
        named = {own[event_id]} | {row["item_id"] for row in (one, other) if row is not None}
        assert one == other or named & theirs


def test_items_are_drawn_as_often_as_they_are_taken() -> None:
    events = [(f"u{i}", "a" if i % 4 else "b", i, 1) for i in range(4000)]
    asked = ledger([(f"v{i}", "c", 5000 + i, 1) for i in range(4000)])
    found = drawn_beside(asked, pl.concat([ledger(events), asked]), CATALOGUE, 1)
    assert found.height == 4000
    assert 0.70 < (found["item_id"] == "a").to_numpy().mean() < 0.80
    new = found.filter(timestamp=5000)["item_id"].to_list()
    assert new == [] or new[0] in "de", "nobody had taken `c`, nor these"


def test_events_and_what_is_drawn_stand_in_the_order_of_time() -> None:
    stored = ledger([("u1", "a", 1, 1), ("u2", "b", 2, 1), ("u3", "c", 3, 1)])
    events = stored.select(
        "event_id",
        "user_id",
        "item_id",
        rating=pl.lit(1.0),
        liked=pl.lit(value=True),
        timestamp="timestamp",
        opinions=pl.lit(None, pl.Utf8),
    )
    both = with_drawn(events, stored, CATALOGUE, 1)
    assert both["timestamp"].to_list() == [1, 1, 2, 2, 3, 3]
    assert both.filter(schema.OBSERVED).equals(events.sort("timestamp", "event_id"))
