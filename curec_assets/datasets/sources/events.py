"""Events from a table of the user's: user, item, time, and where feedback is explicit a rating or
boolean label, as mapped.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache

import polars as pl

from curec_assets.datasets import schema
from curec_assets.datasets.opinions import opinions_of
from curec_assets.datasets.sources import parsing
from curec_assets.datasets.sources.catalogue import as_text
from curec_assets.datasets.sources.tables import Table, require_column
from curec_assets.settings import DataSettings
from resources.errors import DataError

_DAY = 86_400
_DID = 1.0
"""The rating of events that have none, because feedback is implicit."""
_ROLES = {"user": "user_id", "item": "item_id", "rating": "rating", "time": "timestamp"}
"""What is mapped → column of `schema.RAW_INTERACTIONS`."""
_OPERATION = "operation"
_REVIEW = "review "
_Columns = Mapping[str, parsing.Cells]
_Faults = Mapping[str, Sequence[parsing.Fault]]


def read_events(table: Table, settings: DataSettings) -> pl.DataFrame:
    """The events that can be used, in the table's order: `schema.RAW_INTERACTIONS`.

    Raises `DataError` when more than `data.most_bad_share` of the rows cannot be.
    """
    rows, cells, faults = _parsed(table, settings)
    bad = {row for found in faults.values() for fault in found for row in fault.rows}
    if len(bad) > settings.most_bad_share * rows.height:
        raise _too_many_bad(cells, faults, len(bad), rows.height, settings.most_bad_share)
    return rows.filter(~(pl.col("row") - 1).is_in(sorted(bad)))


def left_out(table: Table, settings: DataSettings, file: str) -> pl.DataFrame:
    """The cells for which rows were left out: `schema.QUARANTINE`.

    `file`: what the ledger calls the table.
    """
    _, cells, faults = _parsed(table, settings)
    found = [
        (
            file,
            row + 1,
            column.values.name,
            None if (value := column.values[row]) is None else str(value),
            f"expected {fault.expected}",
            fault.fix,
        )
        for role, column in cells.items()
        for fault in faults[role]
        for row in fault.rows
    ]
    return pl.DataFrame(found, schema=schema.QUARANTINE, orient="row").sort("row", "column")


def columns_of_events(table: Table, settings: DataSettings) -> dict[str, str]:
    """Role → column of the table. Raises `DataError` where it lacks one."""
    wanted = [role for role in _ROLES if role != "rating" or settings.feedback == "explicit"]
    names = {role: getattr(settings, f"{role}_column") for role in wanted}
    columns = table.columns()
    for role, name in names.items():
        require_column(table, columns, name, f"data.{role}_column")
    for place, name in enumerate(settings.review_columns):
        require_column(table, columns, name, "data.review_columns")
        names[f"{_REVIEW}{place}"] = name
    if settings.operation_column in columns:
        names[_OPERATION] = settings.operation_column
    return names


def events_mapping(settings: DataSettings) -> dict[str, str]:
    """How events are read, for fingerprints."""
    return {
        "columns": "|".join(
            (
                settings.user_column,
                settings.item_column,
                settings.time_column,
                settings.rating_column if settings.feedback == "explicit" else settings.feedback,
                settings.operation_column,
                settings.time_unit,
                settings.csv_separator,
                *settings.review_columns,
            )
        ),
        "bounds": f"{settings.earliest_time} {settings.most_bad_share}",
    }


def _parsed(table: Table, settings: DataSettings) -> tuple[pl.DataFrame, _Columns, _Faults]:
    """Every row as far as it can be read; by role, its columns and their faults."""
    cells = _cells(table, settings)
    earliest = datetime.combine(settings.earliest_time, datetime.min.time(), UTC)
    parsed = {
        "user": parsing.ids(cells["user"]),
        "item": parsing.ids(cells["item"]),
        "rating": (
            parsing.ratings(cells["rating"])
            if "rating" in cells
            else parsing.Parsed(pl.repeat(_DID, len(cells["user"].values), eager=True), ())
        ),
        "time": parsing.times(
            cells["time"],
            unit=settings.time_unit,
            earliest=int(earliest.timestamp()),
            latest=int(time.time()) + _DAY,
        ),
    }
    rows = len(cells["user"].values)
    deleted = pl.repeat(value=False, n=rows, eager=True)
    if _OPERATION in cells:
        parsed[_OPERATION] = parsing.deletions(cells[_OPERATION])
        deleted = parsed[_OPERATION].values
    faults: dict[str, Sequence[parsing.Fault]] = dict.fromkeys(cells, ())
    faults |= {role: found.faults for role, found in parsed.items()}
    # What takes an event back needs no rating.
    faults["rating"] = parsing.without(faults["rating"], deleted)
    frame = pl.DataFrame(
        {
            "row": pl.int_range(1, rows + 1, eager=True),
            **{name: parsed[role].values for role, name in _ROLES.items()},
            "deleted": deleted,
        }
    ).with_columns(opinions=_opinions(cells))
    return frame.select(schema.RAW_INTERACTIONS.names()), cells, faults


def _opinions(cells: _Columns) -> pl.Series | pl.Expr:
    """What each row's review says, title and text together; the text itself goes no further."""
    texts = [as_text(column.values) for role, column in cells.items() if _REVIEW in role]
    if not texts:
        return pl.lit(None, pl.Utf8)
    return opinions_of(
        pl.select(pl.concat_str(texts, separator=". ", ignore_nulls=True)).to_series()
    )


def _cells(table: Table, settings: DataSettings) -> _Columns:
    """By role, the mapped columns."""
    names = columns_of_events(table, settings)
    frame = table.rows(list(names.values()))
    if not frame.height:
        raise DataError(f"{table.name}: found no data row, expected one per event")
    offset = cache(lambda: table.line_offset(frame.height))
    return {role: parsing.Cells(frame[name], table.name, offset) for role, name in names.items()}


def _too_many_bad(
    cells: _Columns, faults: _Faults, bad: int, rows: int, allowed: float
) -> DataError:
    """The error that names the first bad cell, and how many rows are bad."""
    role, fault = next((role, fault) for role, found in faults.items() for fault in found)
    first = cells[role].problem(min(fault.rows), fault.expected, fault.fix)
    return DataError(
        f"{first}. {bad} of {rows} rows cannot be used, more than data.most_bad_share = "
        f"{allowed} allows to leave out; nothing was stored"
    )
