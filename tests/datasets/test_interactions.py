"""Events: ids, labels, repetitions, unknown items."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.datasets import schema
from curec_assets.datasets.interactions import (
    build_interactions,
    require_mostly_known,
    with_event_ids,
)
from resources.errors import DataError
from tests.support.event_ids import event_id

CATALOGUE = pl.Series(["a", "b"])


def current(rows: list[tuple[str, str, float, int]]) -> pl.DataFrame:
    columns = [name for name in schema.EVENT if name != "opinions"]
    events = pl.DataFrame(rows, schema=columns, orient="row").cast({"timestamp": pl.Int64})
    return with_event_ids(events.with_columns(opinions=pl.lit(None, pl.Utf8)))


def test_unknown_items_are_left_out_and_named() -> None:
    rows = [("u", "a", 5.0, 10), ("u", "zz", 5.0, 11), ("v", "b", 3.0, 9)]
    found = build_interactions(current(rows), CATALOGUE, liked_threshold=4.0)
    assert found.events.schema == schema.INTERACTIONS
    assert found.events.drop("event_id", "opinions").rows() == [
        ("v", "b", 3.0, False, 9),
        ("u", "a", 5.0, True, 10),
    ]
    assert (found.unknown, found.unknown_items) == (1, ["zz"])


def refusal(rows: list[tuple[str, str, float, int]]) -> str:
    found = build_interactions(current(rows), CATALOGUE, liked_threshold=4.0)
    with pytest.raises(DataError) as error:
        require_mostly_known(found, CATALOGUE)
    return str(error.value)


def test_where_feedback_is_implicit_every_event_is_the_same_like() -> None:
    rows = [("u", "a", 5.0, 10), ("v", "b", 1.0, 9)]
    found = build_interactions(current(rows), CATALOGUE, liked_threshold=None)
    assert found.events.select("rating", "liked").rows() == [(1.0, True), (1.0, True)]


def test_mostly_unknown_items_are_an_error_with_examples() -> None:
    said = refusal([("u", "tt1", 1.0, 10), ("u", "tt2", 5.0, 10), ("v", "b", 3.0, 9)])
    for part in ("2 of 3", "'tt1', 'tt2'", "'a', 'b'", "data.item_column"):
        assert part in said


def test_no_events_are_an_error() -> None:
    assert "no interaction" in refusal([])


def test_event_ids_do_not_run_together() -> None:
    ids = {event_id(*key) for key in [("1", "23", 4), ("12", "3", 4), ("1", "2", 34), ("", "1", 2)]}
    assert len(ids) == 4
    assert all(len(found) == 16 and int(found, 16) >= 0 for found in ids)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.tuples(NAMES, NAMES, st.integers(-(2**62), 2**62)), max_size=20))
def test_event_ids_are_the_hash_of_user_item_and_time(keys: list[tuple[str, str, int]]) -> None:
    rows = current([(user, item, 1.0, time) for user, item, time in keys])
    assert rows["event_id"].to_list() == [event_id(*key) for key in keys]
