"""Laws of content hashes and fingerprints."""

import hashlib
import json
import math
import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.core import seeds
from curec_assets.core.provenance import (
    _non_finite,
    advanced,
    content_hash,
    fingerprint,
    row_sum,
    version_of_rows,
)

SCHEMA = {
    "key": pl.String,
    "text": pl.String,
    "number": pl.Float64,
    "count": pl.Int64,
    "flag": pl.Boolean,
    "list": pl.List(pl.Float64),
    "pair": pl.Struct({"kind": pl.String, "weight": pl.Float64}),
    "vector": pl.Array(pl.Float32, 2),
}
CELLS = {
    "text": st.none() | st.text(max_size=5),
    "number": st.none() | st.floats(),
    "count": st.none() | st.integers(-(2**63), 2**63 - 1),
    "flag": st.none() | st.booleans(),
    "list": st.none() | st.lists(st.none() | st.floats(), max_size=3),
    "pair": st.fixed_dictionaries(
        {"kind": st.none() | st.text(max_size=3), "weight": st.none() | st.floats()}
    ),
    "vector": st.tuples(st.floats(width=32), st.floats(width=32)).map(list),
}
ROWS = st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=6).map(
    lambda rows: [{"key": str(index), **row} for index, row in enumerate(rows)]
)


def frame(rows):
    return pl.DataFrame(rows, schema=SCHEMA)


def hashed(table):
    return content_hash(table, key=["key"])


def canonical(value):
    """A form in which equal means the same cell; NaN payloads are one value."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else (value, math.copysign(1.0, value))
    if isinstance(value, list):
        return [canonical(part) for part in value]
    if isinstance(value, dict):
        return {name: canonical(part) for name, part in value.items()}
    return value


@given(ROWS, st.randoms(use_true_random=False))
def test_order_of_rows_and_columns_does_not_matter(rows, shuffler: random.Random):
    columns = list(SCHEMA)
    mixed = list(rows)
    shuffler.shuffle(columns)
    shuffler.shuffle(mixed)
    assert hashed(frame(mixed).select(columns)) == hashed(frame(rows))


@given(st.data(), ROWS)
def test_any_changed_cell_changes_it(data, rows):
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(sorted(CELLS)))
    value = data.draw(CELLS[column])
    before = frame(rows)
    after = frame([*rows[:row], {**rows[row], column: value}, *rows[row + 1 :]])
    same = canonical(before.row(row, named=True)) == canonical(after.row(row, named=True))
    assert (hashed(before) == hashed(after)) == same


@given(ROWS)
def test_a_row_more_changes_it(rows):
    assert hashed(frame(rows)) != hashed(frame([*rows, {**rows[0], "key": "new"}]))


def test_what_json_writes_as_null_is_told_apart():
    values = [None, math.nan, math.inf, -math.inf, 0.0]
    tables = [
        pl.DataFrame({"key": ["a"], "x": [x]}, schema={"key": pl.String, "x": pl.Float64})
        for x in values
    ]
    assert len({hashed(table) for table in tables}) == len(values)


def test_names_and_types_matter():
    table = pl.DataFrame({"key": ["a"], "x": [1]})
    versions = {
        hashed(table),
        hashed(table.rename({"x": "y"})),
        hashed(table.cast({"x": pl.Int32})),
        hashed(table.head(0)),
    }
    assert len(versions) == 4


def test_rows_of_equal_key_may_come_in_any_order():
    table = pl.DataFrame({"key": ["a", "a", None], "x": [1, 2, 3], "l": [[1.0], [], None]})
    assert hashed(table) == hashed(table.reverse())


KEYS = st.sampled_from(["a", "b", "", None])


@given(st.lists(st.fixed_dictionaries({"key": KEYS, **CELLS}), max_size=8))
def test_it_is_that_of_the_rows_sorted(rows):
    """Which need not be copied for it."""
    table = frame(rows)
    columns = sorted(table.columns)
    rest = [column for column in columns if column != "key"]
    ordered = table.select(columns).sort(["key", *rest], nulls_last=True)
    hasher = hashlib.sha256(json.dumps([(c, str(ordered.schema[c])) for c in columns]).encode())
    if ordered.height:
        hasher.update(ordered.write_ndjson().encode())
    for column in columns:
        if odd := _non_finite(ordered[column]):
            hasher.update(json.dumps([column, odd]).encode())
    assert hashed(table) == hasher.hexdigest()[:16]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(
    config=st.dictionaries(st.text(max_size=3), JSON, max_size=4),
    inputs=st.dictionaries(st.text(max_size=3), st.text(max_size=4), max_size=3),
)
def test_a_fingerprint_does_not_depend_on_the_order_of_names(config, inputs):
    made = fingerprint(asset="a", code_version="1", config=config, inputs=inputs)
    assert made == fingerprint(
        asset="a",
        code_version="1",
        config=dict(reversed(config.items())),
        inputs=dict(reversed(inputs.items())),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"asset": "b"},
        {"code_version": "2"},
        {"config": {"x": 2}},
        {"config": {"x": "1"}},
        {"config": {"x": 1, "y": None}},
        {"inputs": {"i": "v2"}},
        {"inputs": {"j": "v1"}},
        {"inputs": {}},
    ],
)
def test_a_fingerprint_changes_with_each_argument(change):
    base = {"asset": "a", "code_version": "1", "config": {"x": 1}, "inputs": {"i": "v1"}}
    assert fingerprint(**base) != fingerprint(**{**base, **change})


PARTS = st.lists(st.text(max_size=3) | st.integers(-5, 5), max_size=3)


@given(st.integers(0, 2**31), PARTS, PARTS)
def test_derived_seeds_differ_exactly_when_their_parts_do(seed, first, second):
    one, other = seeds.derive(seed, *first), seeds.derive(seed, *second)
    assert 0 <= one < 2**63
    assert (one == other) == (first == second)


def test_derived_generators_are_repeatable_and_independent():
    draw = seeds.random_generator(1, "user", "7").integers(0, 2**62)
    assert draw == seeds.random_generator(1, "user", "7").integers(0, 2**62)
    assert draw != seeds.random_generator(1, "user", "8").integers(0, 2**62)


EVENTS = st.sets(st.tuples(st.text(max_size=3), st.integers(0, 9), st.floats(0, 5)), max_size=8)


def events(rows) -> pl.DataFrame:
    columns = {"user": pl.String, "time": pl.Int64, "rating": pl.Float64}
    return pl.DataFrame(list(rows), schema=columns, orient="row")


@given(EVENTS, EVENTS, st.randoms(use_true_random=False))
def test_a_sum_of_rows_that_is_advanced_is_that_of_the_rows(before, after, shuffler) -> None:
    advanced_to = advanced(
        row_sum(events(before)), come=events(after - before), gone=events(before - after)
    )
    shuffled = list(after)
    shuffler.shuffle(shuffled)
    assert advanced_to == row_sum(events(shuffled).select("time", "rating", "user"))


@given(EVENTS, EVENTS)
def test_other_rows_have_another_version(before, after) -> None:
    def version(rows) -> str:
        frame = events(rows)
        return version_of_rows(frame.schema, frame.height, row_sum(frame))

    assert (version(before) == version(after)) == (before == after)
