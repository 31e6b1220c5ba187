"""Events: ids, labels, repetitions, unknown items."""

import polars as pl
import pytest

from curec_assets.datasets import schema
from curec_assets.datasets.interactions import build_interactions, event_id
from resources.errors import DataError

CATALOGUE = pl.Series(["a", "b"])


def raw(rows: list[tuple[str, str, float, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        [(number, *row) for number, row in enumerate(rows, 1)],
        schema=schema.RAW_INTERACTIONS,
        orient="row",
    )


def test_the_last_of_repeated_rows_counts_and_unknown_items_are_left_out() -> None:
    rows = [("u", "a", 1.0, 10), ("u", "a", 5.0, 10), ("u", "zz", 5.0, 11), ("v", "b", 3.0, 9)]
    found = build_interactions(raw(rows).reverse(), CATALOGUE, liked_threshold=4.0)
    assert found.events.schema == schema.INTERACTIONS
    assert found.events.drop("event_id").rows() == [
        ("v", "b", 3.0, False, 9),
        ("u", "a", 5.0, True, 10),
    ]
    assert (found.repeated, found.unknown, found.unknown_items) == (1, 1, ["zz"])


def test_mostly_unknown_items_are_an_error_with_examples() -> None:
    rows = [("u", "tt1", 1.0, 10), ("u", "tt2", 5.0, 10), ("v", "b", 3.0, 9)]
    with pytest.raises(DataError) as error:
        build_interactions(raw(rows), CATALOGUE, liked_threshold=4.0)
    for part in ("2 of 3", "'tt1', 'tt2'", "'a', 'b'", "data.item_column"):
        assert part in str(error.value)


def test_no_events_are_an_error() -> None:
    with pytest.raises(DataError, match="no interaction"):
        build_interactions(raw([]), CATALOGUE, liked_threshold=4.0)


def test_event_ids_do_not_run_together() -> None:
    ids = {event_id(*key) for key in [("1", "23", 4), ("12", "3", 4), ("1", "2", 34), ("", "1", 2)]}
    assert len(ids) == 4
    assert all(len(found) == 16 and int(found, 16) >= 0 for found in ids)
