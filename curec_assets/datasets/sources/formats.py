"""Files of rows: CSV, TSV, JSON lines, Parquet, RecBole's atomic files and MovieLens' `.dat`; text
also gzipped.

Two questions are asked of a file: which columns it has, and what some of them hold. No other column
is read, whatever it holds. CSV and JSON give text; a list in JSON gives its JSON text. Where most
lines of JSON are Python literals, they are read as such.
"""

import gzip
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from curec_assets.datasets.sources.atomic import atomic_columns, atomic_rows
from curec_assets.datasets.sources.dat import dat_columns, dat_rows
from curec_assets.datasets.sources.literals import keys_of, literal_rows
from resources.errors import DataError

_CSV = {".csv": ",", ".tsv": "\t"}
_JSON = (".jsonl", ".ndjson", ".json")
_ATOMIC = (".inter", ".item")
_DAT = ".dat"
_PARQUET = ".parquet"
_COMPRESSED = ".gz"
ENDINGS = (*_CSV, *_JSON, _PARQUET, *_ATOMIC, _DAT)
"""What can be read; text also with `.gz` behind it."""
_LINES_LOOKED_AT = 1_000  # of JSON, for its columns
_LONGEST_LINE = 64_000_000  # bytes


def form_of(path: Path) -> str | None:
    """Its ending among `ENDINGS`; None for what cannot be read."""
    name = path.name.lower()
    plain = name.removesuffix(_COMPRESSED)
    found = next((ending for ending in ENDINGS if plain.endswith(ending)), None)
    return None if found == _PARQUET and plain != name else found


def is_separated(path: Path) -> bool:
    """Whether it is CSV or TSV."""
    return form_of(path) in _CSV


def columns_of(path: Path, setting: str, separator: str = "") -> list[str]:
    """Names of its columns. `setting`: which one names the file; `separator`: see `rows_of`."""
    form = _form(path, setting)
    try:
        if form == _PARQUET:
            return list(pl.read_parquet_schema(path))
        if form in _CSV:
            head = pl.read_csv(
                path, separator=separator or _CSV[form], infer_schema=False, n_rows=0
            )
            return head.columns
        if form in _ATOMIC:
            return atomic_columns(path)
        if form == _DAT:
            with _open(path) as stream:
                return dat_columns(path, stream)
        return _keys(path)[0]
    except pl.exceptions.NoDataError:
        raise DataError(f"{path}: the file is empty; expected a header and rows") from None
    except (pl.exceptions.PolarsError, OSError, EOFError, UnicodeDecodeError) as error:
        raise _unreadable(path, form, error) from error


def rows_of(
    path: Path,
    columns: Sequence[str],
    setting: str,
    separator: str = "",
    most: int | None = None,
) -> pl.DataFrame:
    """Some of its columns, rows in their order; at most the first `most` rows.

    `separator`: of cells in CSV; empty: a comma, in TSV a tab. A line of JSON that is none is a row
    of nulls.
    """
    form, wanted = _form(path, setting), list(dict.fromkeys(columns))
    try:
        if form == _PARQUET:
            return pl.read_parquet(path, columns=wanted, n_rows=most)
        if form in _CSV:
            cells = pl.read_csv(
                path,
                columns=wanted,
                separator=separator or _CSV[form],
                infer_schema=False,
                n_rows=most,
            )
            return cells.select(wanted).rechunk()  # or sorting would, with all else beside it
        if form in _ATOMIC:
            return atomic_rows(path, wanted, most)
        if form == _DAT:
            names = columns_of(path, setting)
            with _open(path) as stream:
                return dat_rows(stream, names, wanted, most)
        if _keys(path)[1]:
            with _open(path) as stream:
                return literal_rows(islice(stream, most), wanted)
        return _read_json(path, wanted, most)
    except (pl.exceptions.PolarsError, OSError, EOFError) as error:
        raise _unreadable(path, form, error) from error


def line_offset(path: Path, rows: int) -> int | None:
    """Lines before the first data row; None when a row is not one line of the file."""
    form = form_of(path)
    if form == _PARQUET:
        return None
    with _open(path) as stream:
        lines = sum(1 for _ in stream)
    header = 0 if form in (*_JSON, _DAT) else 1
    return header if lines == rows + header else None


def _form(path: Path, setting: str) -> str:
    if not path.is_file():
        raise DataError(f"{path} does not exist or is no file; set {setting} to an existing file")
    form = form_of(path)
    if form is None:
        raise DataError(
            f"{path}: found the ending {path.suffix!r}, expected {', '.join(ENDINGS)}, text also "
            f"with .gz behind it; convert the file and set {setting}"
        )
    return form


def _open(path: Path) -> BinaryIO:
    if path.name.lower().endswith(_COMPRESSED):
        return cast(BinaryIO, gzip.open(path))
    return path.open("rb")


def _keys(path: Path) -> tuple[list[str], bool]:
    """As `keys_of`, of the first lines."""
    with _open(path) as stream:
        found, literals = keys_of(islice(stream, _LINES_LOOKED_AT))
    if not found:
        raise DataError(
            f"{path}: found no JSON object in its first lines; expected one a line (JSON lines)"
        )
    return found, literals


def _read_json(path: Path, columns: Sequence[str], most: int | None) -> pl.DataFrame:
    import duckdb

    with duckdb.connect() as connection:
        try:
            rows = connection.sql(
                f"SELECT {', '.join(map(_quoted, columns))} "
                "FROM read_json($path, format = 'newline_delimited', "
                "columns = $columns, ignore_errors = true, maximum_object_size = $longest)",
                params={
                    "path": str(path),
                    "columns": dict.fromkeys(columns, "VARCHAR"),
                    "longest": _LONGEST_LINE,
                },
            )
            # A limit reads on one core, even a limit of nothing.
            found = (rows if most is None else rows.limit(most)).to_arrow_table()
        except duckdb.Error as error:
            raise OSError(str(error)) from error
    return pl.DataFrame(pl.from_arrow(found))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _unreadable(path: Path, form: str, error: Exception) -> DataError:
    return DataError(
        f"{path} cannot be read as {form[1:].upper()}: {error}. Save it again in UTF-8, whole, "
        "text with one header line (JSON: with none) and the same number of cells in every row"
    )
