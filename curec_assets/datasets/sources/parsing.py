"""Columns of user-made files → the dtypes of this stage, and what of them cannot be used.

Every function takes the column as a `Cells` (values plus where they stand) and gives `Parsed`: a
bad cell is null there, with what was expected. A column that is wrong as a whole (its type, its
unit) raises `DataError`.
"""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from resources.errors import DataError

_TRUE = {"true", "t", "yes", "y"}
_FALSE = {"false", "f", "no", "n"}
_DELETE = ["delete", "deleted", "remove"]
_KEEP = ["", "add", "correct", "update", "upsert"]
_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000}
_NOT_PLAIN = "[^!-~]"  # what is not a visible character of ASCII, each of which is its own NFC
_FIRST_SECOND = 300_000_000  # of 1979: an earlier time is taken for another unit
_LAST_SECOND = 100_000_000_000  # as seconds this is the year 5138


@dataclass(frozen=True)
class Fault:
    """Cells of a column that cannot be used for one and the same reason."""

    rows: tuple[int, ...]
    """0-based, rising."""
    expected: str
    fix: str


@dataclass(frozen=True)
class Parsed:
    """A column, null where a cell cannot be used."""

    values: pl.Series
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Cells:
    """One column of one file."""

    values: pl.Series
    file: str
    line_offset: Callable[[], int | None]
    """Line of data row 0, or None where rows are not lines; asked where an error names a line."""

    def where(self, row: int) -> str:
        """File, 1-based data row, line and column of the 0-based `row`."""
        offset = self.line_offset()
        line = "" if offset is None else f" (line {row + 1 + offset})"
        return f"{self.file}, data row {row + 1}{line}, column {self.values.name!r}"

    def problem(self, row: int, expected: str, fix: str) -> DataError:
        """The error for the value at the 0-based `row`."""
        value = self.values[row]
        found = "nothing" if value is None or value == "" else repr(value)
        return DataError(f"{self.where(row)}: found {found}, expected {expected}. {fix}")


def ids(cells: Cells) -> Parsed:
    """Ids as strings. Whole numbers lose no digit; missing and blank ids cannot be used."""
    values = cells.values
    faults: list[Fault] = []
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        broken = (whole.cast(pl.Float64) != values) | values.is_nan()
        faults += _faults(
            broken & values.is_not_null(),
            "an id: text or a whole number",
            "Correct it in the file",
        )
        values = whole.set(broken.fill_null(True), None)
    elif values.dtype == pl.Binary or values.dtype.is_nested():
        raise DataError(
            f"{cells.file}, column {values.name!r}: found {values.dtype}, expected ids as text or "
            "whole numbers. Convert the column, or map another one"
        )
    text = _seen(cells, values.cast(pl.Utf8))
    missing = cells.values.is_null() | (text == "").fill_null(False)
    faults += _faults(missing, "an id", "Fill it in or remove the row")
    return Parsed(text.set(missing, None) if missing.any() else text, tuple(faults))


def _seen(cells: Cells, text: pl.Series) -> pl.Series:
    """Without characters that nobody sees, in NFC. Raises where two ids would become one."""
    if not text.str.contains(_NOT_PLAIN).any():
        return text
    text = text.str.strip_chars()
    plain = text.str.replace_all(r"[\p{Cf}\p{Cc}]", "").str.normalize("NFC").str.strip_chars()
    changed = (plain != text).fill_null(False)
    if not changed.any():
        return text
    meanings = pl.DataFrame({"id": text, "plain": plain}).drop_nulls().unique(maintain_order=True)
    double = meanings.filter(pl.col("plain").is_duplicated() & (pl.col("plain") != ""))
    if double.height:
        shown = " and ".join(ascii(each) for each in double["id"].head(2))
        raise DataError(
            f"{cells.file}, column {text.name!r}: {shown} differ in nothing that can be seen. "
            "Write the same id alike, or make them differ"
        )
    return plain


def ratings(cells: Cells) -> Parsed:
    """Ratings as floats; boolean labels become 1 and 0. Most of a column decides which it is."""
    values = cells.values
    fix = "Correct the value or remove the row, or set data.rating_column to another column"
    expected = "a number, or true/false in the whole column"
    if values.dtype == pl.Utf8:
        values = values.str.strip_chars()
    elif not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
        raise DataError(
            f"{cells.file}, column {values.name!r}: found {values.dtype}, expected {expected}. "
            "Convert the column, or set data.rating_column to another one"
        )
    numbers = values.cast(pl.Float64, strict=False)
    if values.dtype == pl.Utf8 and numbers.null_count() * 2 > values.len():
        words = values.str.to_lowercase()
        labels = words.is_in([*_TRUE, *_FALSE]).fill_null(False)
        if labels.sum() * 2 > values.len():
            liked = words.is_in(list(_TRUE)).cast(pl.Float64).set(~labels, None)
            return Parsed(liked, tuple(_faults(~labels, expected, fix)))
    bad = numbers.is_null() | ~numbers.is_finite().fill_null(False)
    return Parsed(numbers.set(bad, None), tuple(_faults(bad, expected, fix)))


def deletions(cells: Cells) -> Parsed:
    """Whether a row takes its event back; nothing, "add" and "correct" mean that it does not."""
    words = cells.values.cast(pl.Utf8).str.strip_chars().str.to_lowercase().fill_null("")
    deleted = words.is_in(_DELETE)
    return Parsed(
        deleted,
        tuple(
            _faults(
                ~(deleted | words.is_in(_KEEP)),
                "add, correct, delete or nothing",
                "Correct the value, or set data.operation_column to another column",
            )
        ),
    )


def without(faults: Iterable[Fault], excused: pl.Series) -> tuple[Fault, ...]:
    """The faults of rows where `excused` is false."""
    kept = [replace(f, rows=tuple(row for row in f.rows if not excused[row])) for f in faults]
    return tuple(fault for fault in kept if fault.rows)


def times(cells: Cells, *, earliest: int, latest: int, unit: str = "s") -> Parsed:
    """Times as whole Unix seconds (fractions are cut off; times without a zone are UTC).

    `unit`: of numbers, `s`, `ms` or `us`.

    Those before `earliest` or after `latest` cannot be used: they are mistakes, and one event in
    the far future would make everything else old.
    """
    values = cells.values
    expected = "Unix seconds or ISO 8601 text such as 2024-05-01T12:30:00Z"
    fix = "Correct the value or remove the row, or set data.time_column to another column"
    if values.dtype in (pl.Date, pl.Datetime):
        seconds = values.cast(pl.Datetime("us")).dt.epoch("s")
        faults = _faults(seconds.is_null(), "a time", fix)
    else:
        seconds, faults = _seconds_of(cells, unit, expected, fix)
    outside = ((seconds < earliest) | (seconds > latest)).fill_null(False)
    faults += _faults(
        outside,
        f"a time from {_day(earliest)} to {_day(latest)}",
        "Correct the value or remove the row, or set data.earliest_time",
    )
    return Parsed(seconds.set(outside, None), tuple(faults))


def _seconds_of(cells: Cells, unit: str, expected: str, fix: str) -> tuple[pl.Series, list[Fault]]:
    """Of a column of numbers or texts; null where neither."""
    values = cells.values
    if values.dtype == pl.Utf8:
        values = values.str.strip_chars()
        numbers = values.cast(pl.Float64, strict=False)
        written = values.is_not_null() & (values != "")
        if (written & numbers.is_null()).sum() * 2 > written.sum():
            return _texts(values, numbers, expected, fix)
    elif values.dtype.is_numeric():
        numbers = values.cast(pl.Float64)
    else:
        raise DataError(
            f"{cells.file}, column {values.name!r}: found {values.dtype}, expected {expected}. "
            "Convert the column, or set data.time_column to another one"
        )
    bad = numbers.is_null() | ~numbers.is_finite().fill_null(False)
    numbers = numbers / _UNITS[unit]
    wrong = _other_unit(numbers, bad, unit)
    if wrong:
        raise cells.problem(
            int((~bad).arg_true()[0]),
            f"Unix time in {unit!r}, as data.time_unit says",
            f"It looks like {wrong!r}: set data.time_unit",
        )
    late = (numbers.abs() >= _LAST_SECOND).fill_null(False) & ~bad
    faults = _faults(bad, expected, fix)
    faults += _faults(late, f"Unix time in {unit!r}", "Write all times in one unit")
    return numbers.set(bad | late, None).floor().cast(pl.Int64), faults


def _other_unit(seconds: pl.Series, bad: pl.Series, unit: str) -> str:
    """The unit that most of the column is in, where that is another; else nothing."""
    middle = seconds.filter(~bad).abs().median()
    if not isinstance(middle, float) or middle == 0:
        return ""
    for other, parts in _UNITS.items():
        as_seconds = middle * _UNITS[unit] / parts
        if _FIRST_SECOND <= as_seconds < _LAST_SECOND:
            return "" if other == unit else other
    return ""


def _texts(
    texts: pl.Series, numbers: pl.Series, expected: str, fix: str
) -> tuple[pl.Series, list[Fault]]:
    """Times of a column where most are not numbers: all must be ISO texts."""
    parsed: dict[str | None, int | None] = {text: _seconds(text) for text in texts.unique()}
    is_number = numbers.is_not_null()
    seconds = pl.Series(texts.name, [parsed[text] for text in texts], dtype=pl.Int64)
    seconds = seconds.set(is_number, None)
    faults = _faults(seconds.is_null() & ~is_number, expected, fix)
    faults += _faults(
        is_number, "ISO 8601 text as elsewhere in the column", "Write all times in one form"
    )
    return seconds, faults


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _seconds(text: str | None) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return math.floor(moment.timestamp())


def attribute_values(value: Any, separator: str) -> list[str]:
    """The attribute values in one cell: text is split, lists are taken as they are.

    Of lists in a list, such as paths in a tree of categories, each value once.
    """
    if value is None:
        return []
    parts = value if isinstance(value, list) else _listed(str(value))
    parts = str(value).split(separator) if parts is None else _flat(parts)
    return [text for part in parts if part is not None and (text := " ".join(str(part).split()))]


def _flat(parts: list[Any]) -> list[Any]:
    """What lists in a list hold, each value once; a list without lists as it is."""
    if not any(isinstance(part, list) for part in parts):
        return parts
    while any(isinstance(part, list) for part in parts):
        parts = [each for part in parts for each in (part if isinstance(part, list) else [part])]
    return list(dict.fromkeys(str(part) for part in parts if part is not None))


def _listed(text: str) -> list[Any] | None:
    """A list that is written as JSON."""
    if text[:1] != "[":
        return None
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, list) else None


def _faults(mask: pl.Series, expected: str, fix: str) -> list[Fault]:
    """One, of the rows where the mask is true or null; none where there are no such rows."""
    rows = tuple(mask.fill_null(True).arg_true().to_list())
    return [Fault(rows, expected, fix)] if rows else []
