"""Your own files, in any of the `formats`, with the column mapping of `DataSettings`.

Interactions: user, item, time, rating or boolean label, in one file or in a folder of files
(`inbox`). Items, one file: id, title, year, attributes and prose. Only the columns that the
settings name are read, so names and texts of people stay where they are; an attribute that looks
like them is refused until it is confirmed.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.datasets import schema
from curec_assets.datasets.sources import parsing
from curec_assets.datasets.sources.formats import ENDINGS, columns_of, line_offset, rows_of
from curec_assets.datasets.sources.inbox import (
    file_hash,
    files_in,
    marked_done,
    standing_still,
)
from curec_assets.datasets.sources.personal import suspicion
from curec_assets.settings import DataSettings
from resources.errors import DataError

log = logging.getLogger(__name__)

_DAY = 86_400
_ROLES = {"user": "user_id", "item": "item_id", "rating": "rating", "time": "timestamp"}
"""What is mapped → column of `schema.RAW_INTERACTIONS`."""
_ID = "curec_item_id"
_OPERATION = "operation"
# Plural and other common names of the kinds that reasons have words for.
MARKUP = r"^\s*<[A-Za-z][^>]*>?\s*$"
"""A title that is a tag and nothing else."""
_KINDS = {"genres": "genre", "directors": "director", "actors": "actor", "cast": "actor"}


class FilesSource:
    """Interactions and items from the files that the settings name."""

    def __init__(self, settings: DataSettings) -> None:
        self._settings = settings
        self._interactions = Path(settings.interactions_path)
        self._items = Path(settings.items_path) if settings.items_path else None

    @property
    def whole(self) -> bool:
        """Whether there is one file, which says everything."""
        return self._interactions.is_file()

    def files(self) -> dict[str, str]:
        """The file, or those of the folder that are not being written, by name."""
        return self._ready

    @cached_property
    def _ready(self) -> dict[str, str]:
        files = files_in(self._interactions)
        ready = files if self.whole else standing_still(files)
        if not ready:
            raise DataError(
                f"{self._interactions}: found no file that can be read, expected one that ends in "
                f"{', '.join(ENDINGS)} and is not being written; put one in"
            )
        return {file.name: file_hash(file) for file in ready}

    def vouched_for(self, file: str) -> bool:
        """Whether an empty file of its name with `.done` at the end is beside it."""
        return marked_done(self._path(file))

    def interactions(self, file: str) -> pl.DataFrame:
        """The events that can be used, in the file's order.

        Raises `DataError` when more than `data.most_bad_share` of the rows cannot be.
        """
        rows, cells, faults = self._parsed(file)
        bad = {row for found in faults.values() for fault in found for row in fault.rows}
        if len(bad) > self._settings.most_bad_share * rows.height:
            raise self._too_many_bad(cells, faults, len(bad), rows.height)
        return rows.filter(~(pl.col("row") - 1).is_in(sorted(bad)))

    def quarantine(self, file: str) -> pl.DataFrame:
        """The cells for which rows of the file were left out."""
        _, cells, faults = self._parsed(file)
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

    def _parsed(
        self, file: str
    ) -> tuple[pl.DataFrame, Mapping[str, parsing.Cells], Mapping[str, Sequence[parsing.Fault]]]:
        """Every row of a file as far as it can be read; by role, its columns and their faults."""
        cells = self._cells(self._path(file))
        earliest = datetime.combine(self._settings.earliest_time, datetime.min.time(), UTC)
        parsed = {
            "user": parsing.ids(cells["user"]),
            "item": parsing.ids(cells["item"]),
            "rating": parsing.ratings(cells["rating"]),
            "time": parsing.times(
                cells["time"],
                unit=self._settings.time_unit,
                earliest=int(earliest.timestamp()),
                latest=int(time.time()) + _DAY,
            ),
        }
        rows = len(cells["user"].values)
        deleted = pl.repeat(value=False, n=rows, eager=True)
        if _OPERATION in cells:
            parsed[_OPERATION] = parsing.deletions(cells[_OPERATION])
            deleted = parsed[_OPERATION].values
        faults = {role: found.faults for role, found in parsed.items()}
        # What takes an event back needs no rating.
        faults["rating"] = parsing.without(faults["rating"], deleted)
        frame = pl.DataFrame(
            {
                "row": pl.int_range(1, rows + 1, eager=True),
                **{name: parsed[role].values for role, name in _ROLES.items()},
                "deleted": deleted,
            },
            schema=schema.RAW_INTERACTIONS,
        )
        return frame, cells, faults

    def _path(self, file: str) -> Path:
        return self._interactions if self.whole else self._interactions / file

    def _cells(self, path: Path) -> Mapping[str, parsing.Cells]:
        """By role, the mapped columns of a file."""
        settings = self._settings
        names = {role: getattr(settings, f"{role}_column") for role in _ROLES}
        columns = columns_of(path, "data.interactions_path", settings.csv_separator)
        for role, name in names.items():
            why = " (without ratings nothing tells likes from dislikes)" if role == "rating" else ""
            _require(columns, name, path, f"data.{role}_column", why)
        if settings.operation_column in columns:
            names[_OPERATION] = settings.operation_column
        frame = rows_of(
            path, list(names.values()), "data.interactions_path", settings.csv_separator
        )
        if not frame.height:
            raise DataError(f"{path}: found no data row, expected one per event")
        offset = line_offset(path, frame.height)
        return {role: parsing.Cells(frame[name], str(path), offset) for role, name in names.items()}

    def _too_many_bad(
        self,
        cells: Mapping[str, parsing.Cells],
        faults: Mapping[str, Sequence[parsing.Fault]],
        bad: int,
        rows: int,
    ) -> DataError:
        """The error that names the first bad cell, and how many rows are bad."""
        role, fault = next((role, fault) for role, found in faults.items() for fault in found)
        first = cells[role].problem(min(fault.rows), fault.expected, fault.fix)
        return DataError(
            f"{first}. {bad} of {rows} rows cannot be used, more than data.most_bad_share = "
            f"{self._settings.most_bad_share} allows to leave out; nothing was stored"
        )

    def items(self) -> pl.DataFrame:
        """The catalogue, from the columns that the settings name; without a file of items, the ids
        that events name.

        Raises `DataError` for a missing or repeated id, and for an attribute that looks like what
        belongs to people and is not confirmed.
        """
        if self._items is None:
            found = [self.interactions(file).select("item_id") for file in self.files()]
            ids = pl.concat(found).unique().sort("item_id")
            rest = {name: pl.lit(None, dtype) for name, dtype in schema.RAW_ITEMS.items()}
            return ids.with_columns(**rest | {"item_id": pl.col("item_id")}).select(list(rest))
        return self._catalogue(self._items)

    def _catalogue(self, path: Path) -> pl.DataFrame:
        settings = self._settings
        columns = columns_of(path, "data.items_path", settings.csv_separator)
        wanted = [settings.item_column, settings.title_column]
        _require(columns, settings.item_column, path, "data.item_column")
        _require(columns, settings.title_column, path, "data.title_column")
        for setting in ("attribute_columns", "text_columns"):
            for name in getattr(settings, setting):
                _require(columns, name, path, f"data.{setting}")
                wanted.append(name)
        wanted += [settings.year_column] if settings.year_column in columns else []
        self._say_what_is_not_read(path, columns)
        frame = rows_of(path, wanted, "data.items_path", settings.csv_separator)
        cells = parsing.Cells(
            frame[settings.item_column], str(path), line_offset(path, frame.height)
        )
        found = parsing.ids(cells)
        for fault in found.faults:
            raise cells.problem(fault.rows[0], fault.expected, fault.fix)
        frame = _without_repetitions(frame, found.values, cells)
        item_ids = frame[_ID]
        attributes = {
            name: self._attribute(path, frame, name) for name in settings.attribute_columns
        }
        prose = [
            [" ".join(parsing.attribute_values(cell, "\n")) for cell in frame[name].to_list()]
            for name in settings.text_columns
        ]
        return pl.DataFrame(
            {
                "item_id": item_ids,
                "title": _titles(frame[settings.title_column].cast(pl.Utf8), path),
                "year": _years(frame, settings.year_column),
                "attributes": [
                    [
                        {"kind": _KINDS.get(name.lower(), name.lower()), "value": value}
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

    def interactions_fingerprint(self) -> dict[str, str]:
        """Hash of the interactions files, and the mapping."""
        settings = self._settings
        return {
            "files": digest(self.files()),
            "columns": "|".join(
                (
                    settings.user_column,
                    settings.item_column,
                    settings.time_column,
                    settings.rating_column,
                    settings.operation_column,
                    settings.time_unit,
                    settings.csv_separator,
                )
            ),
            "bounds": f"{settings.earliest_time} {settings.most_bad_share}",
        }

    def items_fingerprint(self) -> dict[str, str]:
        """Hash of the items file, and the mapping."""
        settings = self._settings
        if self._items is None:
            return {"items": digest(self.files()), "columns": settings.item_column}
        return {
            "items": _existing_hash(self._items, "data.items_path"),
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

    def _say_what_is_not_read(self, path: Path, columns: Sequence[str]) -> None:
        """Warn where nothing but titles is read, although the file has more."""
        settings = self._settings
        read = {settings.item_column, settings.title_column, settings.year_column}
        others = [name for name in columns if name not in read]
        if others and not (settings.attribute_columns or settings.text_columns):
            log.warning(
                "%s: only titles are read, for no setting names %s; name what reasons may say in "
                "data.attribute_columns, and prose in data.text_columns",
                path,
                ", ".join(map(repr, others)),
            )

    def _attribute(self, path: Path, frame: pl.DataFrame, name: str) -> list[list[str]]:
        """Values of the attribute column `name`, by row."""
        settings = self._settings
        cells = frame[name].to_list()
        rows = [parsing.attribute_values(cell, settings.attribute_separator) for cell in cells]
        found = None if name in settings.confirmed_columns else suspicion(rows)
        if found:
            offset = line_offset(path, frame.height)
            column = parsing.Cells(frame[name], str(path), offset)
            raise DataError(
                f"{column.where(found.row)}: found what looks like {found.kind} (not repeated "
                f"here), as do {found.found} of {found.of} different values; expected values that "
                f"reasons may name to anybody. Remove {name!r} from data.attribute_columns, or, if "
                "they are public (directors, brands), add it to data.confirmed_columns"
            )
        return rows


def _titles(titles: pl.Series, path: Path) -> pl.Series:
    """Without what is a piece of markup and no title, as in Amazon's data of 2018."""
    markup = titles.str.contains(MARKUP).fill_null(False)
    if markup.any():
        log.warning("%s: %d titles are markup and taken for missing", path, markup.sum())
    return titles.set(markup, None)


def _existing_hash(path: Path, setting: str) -> str:
    if not path.is_file():
        raise DataError(f"{path} does not exist or is no file; set {setting} to an existing file")
    return file_hash(path)


def _require(columns: Sequence[str], column: str, path: Path, setting: str, why: str = "") -> None:
    if column not in columns:
        one = len(columns) == 1 and path.suffix not in (".parquet", ".jsonl")
        raise DataError(
            f"{path} has no column {column!r}, which {setting} names{why}; it has "
            f"{', '.join(repr(name) for name in columns)}. "
            + (
                "If that is several columns in one, set data.csv_separator"
                if one
                else f"Set {setting} to one of these"
            )
        )


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
    """The column of years, where there is one and it holds whole numbers."""
    if column not in frame.columns or frame[column].dtype.is_nested():
        return pl.repeat(None, frame.height, dtype=pl.Int64, eager=True)
    return frame[column].cast(pl.Int64, strict=False)
