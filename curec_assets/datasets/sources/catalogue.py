"""Items from a table of the user's: id, title, year, attributes and prose, as mapped.

Only the columns that the settings name are read; an attribute that looks like people is refused
until it is confirmed.
"""

import logging
from collections.abc import Sequence
from functools import cache

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.datasets import schema
from curec_assets.datasets.items import kind_of
from curec_assets.datasets.sources import parsing
from curec_assets.datasets.sources.personal import suspicion
from curec_assets.datasets.sources.tables import Table, require_column
from curec_assets.datasets.titles import natural_order
from curec_assets.settings import DataSettings
from resources.errors import DataError

log = logging.getLogger(__name__)

MARKUP = r"^\s*<[A-Za-z][^>]*>?\s*$"
"""A title that is a tag and nothing else."""
_YEAR_BEHIND = r"^(.*\S)\s*\(((?:18|19|20)\d\d)\)\s*$"
_NO_VALUE = "(no genres listed)"  # of MovieLens
_ID = "curec_item_id"


def read_items(table: Table, settings: DataSettings) -> pl.DataFrame:
    """The catalogue: `schema.RAW_ITEMS`.

    Raises `DataError` for a missing or repeated id, and for an attribute that looks like what
    belongs to people and is not confirmed.
    """
    wanted = columns_of_items(table, settings)
    _say_what_is_not_read(table, settings)
    frame = table.rows(wanted)
    rows = frame.height
    offset = cache(lambda: table.line_offset(rows))
    cells = parsing.Cells(frame[settings.item_column], table.name, offset)
    found = parsing.ids(cells)
    for fault in found.faults:
        raise cells.problem(fault.rows[0], fault.expected, fault.fix)
    frame = _without_repetitions(frame, found.values, cells)
    attributes = {
        name: _attribute(parsing.Cells(frame[name], table.name, offset), settings)
        for name in settings.attribute_columns
    }
    prose = [
        [" ".join(parsing.attribute_values(cell, "\n")) for cell in frame[name].to_list()]
        for name in settings.text_columns
    ]
    return pl.DataFrame(
        {
            "item_id": frame[_ID],
            **_titles_and_years(frame, settings, table),
            "attributes": [
                [
                    {"kind": kind_of(name), "value": value}
                    for name, column in attributes.items()
                    for value in column[row]
                ]
                for row in range(frame.height)
            ],
            "description": [
                " ".join(cell for column in prose if (cell := column[row])) or None
                for row in range(frame.height)
            ],
        },
        schema=schema.RAW_ITEMS,
    )


def columns_of_items(table: Table, settings: DataSettings) -> list[str]:
    """What is read of the table. Raises `DataError` where it lacks a column."""
    columns = table.columns()
    require_column(table, columns, settings.item_column, "data.item_column")
    require_column(table, columns, settings.title_column, "data.title_column")
    wanted = [settings.item_column, settings.title_column]
    for setting in ("attribute_columns", "text_columns"):
        for name in getattr(settings, setting):
            require_column(table, columns, name, f"data.{setting}")
            wanted.append(name)
    return [*wanted, settings.year_column] if settings.year_column in columns else wanted


def as_text(column: pl.Series) -> pl.Series:
    """A column as text; the words of a list (a `token_seq`) with spaces between them."""
    if isinstance(column.dtype, pl.List):
        return column.cast(pl.List(pl.Utf8)).list.join(" ")
    return column.cast(pl.Utf8)


def named_by(events: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """A catalogue of nothing but the ids that events name: `schema.RAW_ITEMS`."""
    ids = pl.concat([each.select("item_id") for each in events]).unique().sort("item_id")
    rest = {name: pl.lit(None, dtype) for name, dtype in schema.RAW_ITEMS.items()}
    return ids.with_columns(**rest | {"item_id": pl.col("item_id")}).select(list(rest))


def items_mapping(settings: DataSettings) -> dict[str, str]:
    """How items are read, for fingerprints."""
    return {
        "columns": digest(
            [
                *(settings.item_column, settings.title_column, settings.year_column),
                *(settings.attribute_columns, settings.text_columns),
                settings.confirmed_columns,
            ]
        ),
        "separator": settings.attribute_separator,
        "csv_separator": settings.csv_separator,
    }


def _say_what_is_not_read(table: Table, settings: DataSettings) -> None:
    """Warn where nothing but titles is read, although the table has more."""
    read = {settings.item_column, settings.title_column, settings.year_column}
    others = [name for name in table.columns() if name not in read]
    if others and not (settings.attribute_columns or settings.text_columns):
        log.warning(
            "%s: only titles are read, for no setting names %s; name what reasons may say in "
            "data.attribute_columns, and prose in data.text_columns",
            table.name,
            ", ".join(map(repr, others)),
        )


def _attribute(column: parsing.Cells, settings: DataSettings) -> list[list[str]]:
    """Values of an attribute, by row."""
    name = column.values.name
    cells = column.values.to_list()
    rows = [
        [
            value
            for value in parsing.attribute_values(cell, settings.attribute_separator)
            if value != _NO_VALUE
        ]
        for cell in cells
    ]
    found = None if name in settings.confirmed_columns else suspicion(rows)
    if found:
        raise DataError(
            f"{column.where(found.row)}: found what looks like {found.kind} (not repeated "
            f"here), as do {found.found} of {found.of} different values; expected values that "
            f"reasons may name to anybody. Remove {name!r} from data.attribute_columns, or, if "
            "they are public (directors, brands), add it to data.confirmed_columns"
        )
    return rows


def _titles_and_years(
    frame: pl.DataFrame, settings: DataSettings, table: Table
) -> dict[str, pl.Series]:
    """As they are; where no column has years, titles may say them: `Matrix, The (1999)`."""
    titles = _titles(frame[settings.title_column], table)
    if settings.year_column in frame.columns:
        return {"title": titles, "year": _years(frame, settings.year_column)}
    years = titles.str.extract(_YEAR_BEHIND, 2).cast(pl.Int64)
    plain = [
        title if year is None else natural_order(title)
        for title, year in zip(titles.str.replace(_YEAR_BEHIND, "$1"), years, strict=True)
    ]
    return {"title": pl.Series(plain, dtype=pl.Utf8), "year": years}


def _titles(titles: pl.Series, table: Table) -> pl.Series:
    """Without what is a piece of markup and no title, as in Amazon's data of 2018."""
    titles = as_text(titles)
    markup = titles.str.contains(MARKUP).fill_null(False)
    if markup.any():
        log.warning("%s: %d titles are markup and taken for missing", table.name, markup.sum())
    return titles.set(markup, None)


def _without_repetitions(
    frame: pl.DataFrame, item_ids: pl.Series, cells: parsing.Cells
) -> pl.DataFrame:
    """With the ids as `_ID`, and rows that say the same once; those that differ are refused."""
    rows = frame.with_columns(item_ids.alias(_ID))
    different = rows.unique(maintain_order=True)
    if different[_ID].is_duplicated().any():
        repeated = different.filter(~different[_ID].is_first_distinct())[_ID][0]
        first, *_ = places = (item_ids == repeated).arg_true().to_list()
        row = next(n for n in places if not rows[n].equals(rows[first]))
        raise DataError(
            f"{cells.where(row)}: found item id {repeated!r} a second time (first in data row "
            f"{first + 1}), with other values; expected one row per item. Merge or remove one"
        )
    if different.height < rows.height:
        log.warning(
            "%s: %d rows say again what another says", cells.file, rows.height - different.height
        )
    return different


def _years(frame: pl.DataFrame, column: str) -> pl.Series:
    """The column of years, where it holds whole numbers."""
    if frame[column].dtype.is_nested():
        return pl.repeat(None, frame.height, dtype=pl.Int64, eager=True)
    return frame[column].cast(pl.Int64, strict=False)
