"""Columns of user-made files → the dtypes of this stage, or an error that names row and value.

Every function takes the column as a `Cells` (values plus where they stand) and raises `DataError`.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from resources.errors import DataError

_TRUE = {"true", "t", "yes", "y"}
_FALSE = {"false", "f", "no", "n"}
_FIRST_MILLISECOND = 100_000_000_000  # as seconds this is the year 5138


@dataclass(frozen=True)
class Cells:
    """One column of one file."""

    values: pl.Series
    file: str
    line_offset: int | None
    """Line of data row 0, or None where rows are not lines."""

    def where(self, row: int) -> str:
        """File, 1-based data row, line and column of the 0-based `row`."""
        line = "" if self.line_offset is None else f" (line {row + 1 + self.line_offset})"
        return f"{self.file}, data row {row + 1}{line}, column {self.values.name!r}"

    def problem(self, row: int, expected: str, fix: str) -> DataError:
        """The error for the value at the 0-based `row`."""
        value = self.values[row]
        found = "nothing" if value is None or value == "" else repr(value)
        return DataError(f"{self.where(row)}: found {found}, expected {expected}. {fix}")


def ids(cells: Cells) -> pl.Series:
    """Ids as strings. Whole numbers lose no digit; missing and blank ids are refused."""
    values = cells.values
    if values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)
        if (bad := _first((whole.cast(pl.Float64) != values) | values.is_nan())) is not None:
            raise cells.problem(bad, "an id: text or a whole number", "Correct it in the file")
        values = whole
    elif values.dtype == pl.Binary or values.dtype.is_nested():
        raise DataError(
            f"{cells.file}, column {values.name!r}: found {values.dtype}, expected ids as text or "
            "whole numbers. Convert the column, or map another one"
        )
    text = values.cast(pl.Utf8).str.strip_chars()
    if (bad := _first(text.is_null() | (text == ""))) is not None:
        raise cells.problem(bad, "an id", "Fill it in or remove the row")
    return text


def ratings(cells: Cells) -> pl.Series:
    """Ratings as floats; boolean labels become 1 and 0."""
    values = cells.values
    fix = "Correct the value or remove the row, or set data.rating_column to another column"
    expected = "a number, or true/false in the whole column"
    if values.dtype == pl.Utf8:
        values = values.str.strip_chars()
        words = values.str.to_lowercase()
        if values.len() and words.is_in([*_TRUE, *_FALSE]).fill_null(False).all():
            return words.is_in(list(_TRUE)).cast(pl.Float64)
    elif not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
        raise DataError(
            f"{cells.file}, column {values.name!r}: found {values.dtype}, expected {expected}. "
            "Convert the column, or set data.rating_column to another one"
        )
    numbers = values.cast(pl.Float64, strict=False)
    if (bad := _first(numbers.is_null() | ~numbers.is_finite().fill_null(False))) is not None:
        raise cells.problem(bad, expected, fix)
    return numbers


def times(cells: Cells) -> pl.Series:
    """Times as whole Unix seconds (fractions are cut off; times without a zone are UTC)."""
    values = cells.values
    expected = "Unix seconds or ISO 8601 text such as 2024-05-01T12:30:00Z"
    fix = "Correct the value or remove the row, or set data.time_column to another column"
    if values.dtype in (pl.Date, pl.Datetime):
        if (bad := _first(values.is_null())) is not None:
            raise cells.problem(bad, "a time", fix)
        return values.cast(pl.Datetime("us")).dt.epoch("s")
    if values.dtype == pl.Utf8:
        values = values.str.strip_chars()
        numbers = values.cast(pl.Float64, strict=False)
        if numbers.is_null().any():
            return _parse_texts(cells, values, numbers, expected, fix)
    elif values.dtype.is_numeric():
        numbers = values.cast(pl.Float64)
    else:
        raise DataError(
            f"{cells.file}, column {values.name!r}: found {values.dtype}, expected {expected}. "
            "Convert the column, or set data.time_column to another one"
        )
    if (bad := _first(numbers.is_null() | ~numbers.is_finite().fill_null(False))) is not None:
        raise cells.problem(bad, expected, fix)
    if (bad := _first(numbers.abs() >= _FIRST_MILLISECOND)) is not None:
        raise cells.problem(
            bad, "Unix seconds", "It looks like milliseconds: divide the column by 1000"
        )
    return numbers.floor().cast(pl.Int64)


def _parse_texts(
    cells: Cells, texts: pl.Series, numbers: pl.Series, expected: str, fix: str
) -> pl.Series:
    """Times of a column where not all is a number: one ISO text decides that all must be."""
    parsed: dict[str | None, int | None] = {text: _seconds(text) for text in texts.unique()}
    is_number = numbers.is_not_null().to_list()
    seconds = [None if n else parsed[text] for n, text in zip(is_number, texts, strict=True)]
    if all(second is None for second in seconds):
        bad = is_number.index(False)
    elif None in seconds:
        bad = seconds.index(None)
    else:
        return pl.Series(cells.values.name, seconds, dtype=pl.Int64)
    if is_number[bad]:
        expected, fix = "ISO 8601 text as elsewhere in the column", "Write all times in one form"
    raise cells.problem(bad, expected, fix)


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
    """The attribute values in one cell: text is split, lists are taken as they are."""
    if value is None:
        return []
    parts = value if isinstance(value, list) else str(value).split(separator)
    return [text for part in parts if part is not None and (text := " ".join(str(part).split()))]


def is_text(values: pl.Series) -> bool:
    """Whether a column holds words: text or lists of text, and not numbers or dates as text."""
    if values.dtype == pl.List(pl.Utf8) or values.dtype in (pl.Categorical, pl.Enum):
        return True
    if values.dtype != pl.Utf8:
        return False
    filled = values.drop_nulls().str.strip_chars()
    filled = filled.filter(filled != "")
    return bool(filled.cast(pl.Float64, strict=False).is_null().any())


def _first(mask: pl.Series) -> int | None:
    found = mask.fill_null(True).arg_true()
    return int(found[0]) if found.len() else None
