"""Your own two files: CSV, TSV or Parquet, with the column mapping of `DataSettings`.

Interactions: user, item, time, rating or boolean label. Items: id, title, year, attributes and
prose. Only the columns that the settings name are read, so names and texts of people stay where
they are; an attribute that looks like them is refused until it is confirmed.
"""

import hashlib
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.datasets import schema
from curec_assets.datasets.sources import parsing
from curec_assets.datasets.sources.personal import suspicion
from curec_assets.settings import DataSettings
from resources.errors import DataError

log = logging.getLogger(__name__)

_DAY = 86_400
_ROLES = {"user": "user_id", "item": "item_id", "rating": "rating", "time": "timestamp"}
"""What is mapped → column of `schema.RAW_INTERACTIONS`."""
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
# Plural and other common names of the kinds that reasons have words for.
_KINDS = {"genres": "genre", "directors": "director", "actors": "actor", "cast": "actor"}


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class FilesSource:
    """Interactions and items from two files named in the settings."""

    def __init__(self, settings: DataSettings) -> None:
        self._settings = settings
        self._interactions = Path(settings.interactions_path)
        self._items = Path(settings.items_path)

    def interactions(self) -> pl.DataFrame:
        """The events that can be used, in the file's order.

        Raises `DataError` when more than `data.most_bad_share` of the rows cannot be.
        """
        frame, columns = self._parsed()
        bad = {
            row for _, parsed in columns.values() for fault in parsed.faults for row in fault.rows
        }
        if len(bad) > self._settings.most_bad_share * frame.height:
            raise self._too_many_bad(columns, len(bad), frame.height)
        rows = pl.DataFrame(
            {
                "row": pl.int_range(1, frame.height + 1, eager=True),
                **{name: columns[role][1].values for role, name in _ROLES.items()},
            },
            schema=schema.RAW_INTERACTIONS,
        )
        return rows.filter(~(pl.col("row") - 1).is_in(sorted(bad)))

    def quarantine(self) -> pl.DataFrame:
        """The cells for which rows of the interactions were left out."""
        _, columns = self._parsed()
        found = [
            (
                self._interactions.name,
                row + 1,
                cells.values.name,
                None if (value := cells.values[row]) is None else str(value),
                f"expected {fault.expected}",
                fault.fix,
            )
            for cells, parsed in columns.values()
            for fault in parsed.faults
            for row in fault.rows
        ]
        return pl.DataFrame(found, schema=schema.QUARANTINE, orient="row").sort("row", "column")

    def _parsed(self) -> tuple[pl.DataFrame, Mapping[str, tuple[parsing.Cells, parsing.Parsed]]]:
        """The file as it is, and by role each mapped column and what it says."""
        settings = self._settings
        names = {role: getattr(settings, f"{role}_column") for role in _ROLES}
        frame = _read(self._interactions, "data.interactions_path")
        for role, name in names.items():
            why = " (without ratings nothing tells likes from dislikes)" if role == "rating" else ""
            _require(frame, name, self._interactions, f"data.{role}_column", why)
        if not frame.height:
            raise DataError(f"{self._interactions}: found no data row, expected one per event")
        offset = _line_offset(self._interactions, frame)
        cells = {
            role: parsing.Cells(frame[name], str(self._interactions), offset)
            for role, name in names.items()
        }
        earliest = datetime.combine(settings.earliest_time, datetime.min.time(), UTC)
        parsed = {
            "user": parsing.ids(cells["user"]),
            "item": parsing.ids(cells["item"]),
            "rating": parsing.ratings(cells["rating"]),
            "time": parsing.times(
                cells["time"],
                earliest=int(earliest.timestamp()),
                latest=int(time.time()) + _DAY,
            ),
        }
        return frame, {role: (cells[role], parsed[role]) for role in _ROLES}

    def _too_many_bad(
        self,
        columns: Mapping[str, tuple[parsing.Cells, parsing.Parsed]],
        bad: int,
        rows: int,
    ) -> DataError:
        """The error that names the first bad cell, and how many rows are bad."""
        cells, fault = next(
            (cells, fault) for cells, parsed in columns.values() for fault in parsed.faults
        )
        first = cells.problem(min(fault.rows), fault.expected, fault.fix)
        return DataError(
            f"{first}. {bad} of {rows} rows cannot be used, more than data.most_bad_share = "
            f"{self._settings.most_bad_share} allows to leave out; nothing was stored"
        )

    def items(self) -> pl.DataFrame:
        """The catalogue, from the columns that the settings name.

        Raises `DataError` for a missing or repeated id, and for an attribute that looks like what
        belongs to people and is not confirmed.
        """
        frame = _read(self._items, "data.items_path")
        settings = self._settings
        _require(frame, settings.item_column, self._items, "data.item_column")
        _require(frame, settings.title_column, self._items, "data.title_column")
        for setting in ("attribute_columns", "text_columns"):
            for name in getattr(settings, setting):
                _require(frame, name, self._items, f"data.{setting}")
        self._say_what_is_not_read(frame)
        cells = parsing.Cells(
            frame[settings.item_column], str(self._items), _line_offset(self._items, frame)
        )
        found = parsing.ids(cells)
        for fault in found.faults:
            raise cells.problem(fault.rows[0], fault.expected, fault.fix)
        item_ids = found.values
        _refuse_duplicates(item_ids, cells)
        attributes = {name: self._attribute(frame, name) for name in settings.attribute_columns}
        prose = [
            [" ".join(parsing.attribute_values(cell, "\n")) for cell in frame[name].to_list()]
            for name in settings.text_columns
        ]
        return pl.DataFrame(
            {
                "item_id": item_ids,
                "title": frame[settings.title_column].cast(pl.Utf8),
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
        """Hash of the interactions file, and the mapping."""
        settings = self._settings
        return {
            "interactions": _existing_hash(self._interactions, "data.interactions_path"),
            "columns": "|".join(
                (
                    settings.user_column,
                    settings.item_column,
                    settings.time_column,
                    settings.rating_column,
                )
            ),
            "bounds": f"{settings.earliest_time} {settings.most_bad_share}",
        }

    def items_fingerprint(self) -> dict[str, str]:
        """Hash of the items file, and the mapping."""
        settings = self._settings
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
        }

    def _say_what_is_not_read(self, frame: pl.DataFrame) -> None:
        """Warn where nothing but titles is read, although the file has more."""
        settings = self._settings
        read = {settings.item_column, settings.title_column, settings.year_column}
        others = [name for name in frame.columns if name not in read]
        if others and not (settings.attribute_columns or settings.text_columns):
            log.warning(
                "%s: only titles are read, for no setting names %s; name what reasons may say in "
                "data.attribute_columns, and prose in data.text_columns",
                self._items,
                ", ".join(map(repr, others)),
            )

    def _attribute(self, frame: pl.DataFrame, name: str) -> list[list[str]]:
        """Values of the attribute column `name`, by row."""
        settings = self._settings
        cells = frame[name].to_list()
        rows = [parsing.attribute_values(cell, settings.attribute_separator) for cell in cells]
        found = None if name in settings.confirmed_columns else suspicion(rows)
        if found:
            column = parsing.Cells(frame[name], str(self._items), _line_offset(self._items, frame))
            raise DataError(
                f"{column.where(found.row)}: found what looks like {found.kind} (not repeated "
                f"here), as do {found.found} of {found.of} different values; expected values that "
                f"reasons may name to anybody. Remove {name!r} from data.attribute_columns, or, if "
                "they are public (directors, brands), add it to data.confirmed_columns"
            )
        return rows


def _read(path: Path, setting: str) -> pl.DataFrame:
    """All columns of the file, as text for CSV. Rows keep their order."""
    _require_file(path, setting)
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix in _SEPARATORS:
            return pl.read_csv(path, separator=_SEPARATORS[path.suffix], infer_schema=False)
    except pl.exceptions.NoDataError:
        raise DataError(f"{path}: the file is empty; expected a header and rows") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{path} cannot be read as {path.suffix[1:].upper()}: {error}. Save it again in UTF-8 "
            "with one header line and the same number of cells in every row"
        ) from error
    raise DataError(
        f"{path}: found the ending {path.suffix!r}, expected .csv, .tsv or .parquet; "
        f"convert the file and set {setting}"
    )


def _require_file(path: Path, setting: str) -> None:
    if not path.is_file():
        raise DataError(f"{path} does not exist or is no file; set {setting} to an existing file")


def _existing_hash(path: Path, setting: str) -> str:
    _require_file(path, setting)
    return file_hash(path)


def _require(frame: pl.DataFrame, column: str, path: Path, setting: str, why: str = "") -> None:
    if column not in frame.columns:
        raise DataError(
            f"{path} has no column {column!r}, which {setting} names{why}; it has "
            f"{', '.join(repr(name) for name in frame.columns)}. Set {setting} to one of these"
        )


def _line_offset(path: Path, frame: pl.DataFrame) -> int | None:
    """Lines before the first data row; None when a row is not one line of the file."""
    if path.suffix not in _SEPARATORS:
        return None
    with path.open("rb") as stream:
        lines = sum(1 for _ in stream)
    return 1 if lines == frame.height + 1 else None


def _refuse_duplicates(item_ids: pl.Series, cells: parsing.Cells) -> None:
    repeated = item_ids.is_duplicated() & ~item_ids.is_first_distinct()
    if repeated.any():
        row = int(repeated.arg_true()[0])
        first = int((item_ids == item_ids[row]).arg_true()[0])
        raise DataError(
            f"{cells.where(row)}: found item id {item_ids[row]!r} a second time (first in data row "
            f"{first + 1}); expected one row per item. Merge or remove one of them"
        )


def _years(frame: pl.DataFrame, column: str) -> pl.Series:
    """The column of years, where there is one and it holds whole numbers."""
    if column not in frame.columns or frame[column].dtype.is_nested():
        return pl.repeat(None, frame.height, dtype=pl.Int64, eager=True)
    return frame[column].cast(pl.Int64, strict=False)
