"""Fingerprints and content hashes: is this artifact still the right one?

A *fingerprint* is known before the work: it hashes the asset's code version, the settings that the
result depends on, and the data versions of what is read. A *data version* is known after it: it
hashes the content. Equal fingerprints mean that the work need not be done again.
"""

import atexit
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import duckdb

_MODULUS = 2**128
_SHIFTS = (96, 64, 32, 0)  # bits, of the words of a number below it
_PLACE = "place among the rows"
_ROWS = 50_000  # that are in the form of JSON at once


def digest(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of `value` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(
    *, asset: str, code_version: str, config: Mapping[str, Any], inputs: Mapping[str, str]
) -> str:
    """Identity of a piece of work; changes exactly when one of its arguments does."""
    return digest(
        {"asset": asset, "code": code_version, "config": dict(config), "inputs": dict(inputs)}
    )


def content_hash(frame: pl.DataFrame, *, key: Sequence[str]) -> str:
    """Hash of a table's schema and rows, whatever the order of its rows and columns.

    `key` names the columns that identify a row; rows are hashed in its order, and rows of equal
    key in the order of their other columns.
    """
    columns = sorted(frame.columns)
    frame = frame.select(columns)
    order = _order(frame, key)
    hasher = hashlib.sha256()
    hasher.update(json.dumps([(c, str(frame.schema[c])) for c in columns]).encode())
    for begin in range(0, frame.height, _ROWS):
        # Arrow's IPC bytes would depend on buffer layout; canonical JSON rows do not.
        hasher.update(frame[order.slice(begin, _ROWS)].write_ndjson().encode())
    for column in columns:
        floats = "Float" in str(frame.schema[column])  # perhaps inside a list or a struct
        odd = _non_finite(frame[column].gather(order)) if floats else []
        if odd:
            hasher.update(json.dumps([column, odd]).encode())
    return hasher.hexdigest()[:16]


def _order(frame: pl.DataFrame, key: Sequence[str]) -> pl.Series:
    """Places of the rows in their order: a table of many rows is not copied for it.

    Only where keys repeat are the other columns looked at.
    """
    order = frame.select(pl.arg_sort_by(key, nulls_last=True)).to_series()
    keys = frame.select(key)[order]
    same = pl.all_horizontal(pl.all().eq_missing(pl.all().shift()))
    if frame.height < 2 or not keys.select(same).to_series().slice(1).any():
        return order
    rest = [column for column in frame.columns if column not in key]
    places = frame.with_row_index(_PLACE).sort([*key, *rest], nulls_last=True)
    return places[_PLACE]


def row_sum(frame: pl.DataFrame) -> int:
    """Sum of the hashes of the rows, modulo 2^128: of any set of rows, in any order.

    Unlike `content_hash` it can be advanced: rows that come are added, rows that go are taken off.
    Floats must be finite.
    """
    if frame.is_empty():
        return 0
    # By words: the sum of numbers of 128 bits would not fit into one.
    sums = ", ".join(f"sum(((hash >> {shift}) & {2**32 - 1})::UBIGINT)" for shift in _SHIFTS)
    row = ", ".join(f"{name} := {name}" for name in map(_quoted, sorted(frame.columns)))
    hashes = f"SELECT md5_number(to_json(struct_pack({row}))) AS hash FROM hashed"
    with _database_of(os.getpid()).cursor() as connection:
        connection.register("hashed", frame)
        words = connection.execute(f"SELECT {sums} FROM ({hashes})").fetchall()[0]
    return sum(int(word) << shift for word, shift in zip(words, _SHIFTS, strict=True)) % _MODULUS


@cache
def _database_of(process: int) -> "duckdb.DuckDBPyConnection":
    """An empty one in memory. It is kept, for to make one takes ten times as long as to hash a few
    rows; and by process, for a process that was forked off lacks its threads.
    """
    import duckdb

    del process
    atexit.register(_database_of.cache_clear)  # or DuckDB complains when Python ends
    return duckdb.connect()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def advanced(total: int, *, come: pl.DataFrame, gone: pl.DataFrame) -> int:
    """The `row_sum` after a change."""
    return (total + row_sum(come) - row_sum(gone)) % _MODULUS


def version_of_rows(schema: Mapping[str, Any], rows: int, total: int) -> str:
    """Data version of a table that grows: of its columns, number of rows and `row_sum`."""
    columns = sorted((name, str(dtype)) for name, dtype in schema.items())
    return digest([columns, rows, f"{total:032x}"])


def _non_finite(values: pl.Series) -> list[tuple[str, int, str]]:
    """Field, position and value of what JSON can only write as null: NaN and the infinities."""
    if isinstance(values.dtype, pl.List | pl.Array):
        return _non_finite(values.explode(empty_as_null=True, keep_nulls=True))
    if isinstance(values.dtype, pl.Struct):
        fields = (values.struct.field(field.name) for field in values.dtype.fields)
        return [entry for field in fields for entry in _non_finite(field)]
    if not values.dtype.is_float():
        return []
    where = (~values.is_finite()).fill_null(False).arg_true()
    return [
        (values.name, index, str(value))
        for index, value in zip(where.to_list(), values.gather(where).to_list(), strict=True)
    ]
