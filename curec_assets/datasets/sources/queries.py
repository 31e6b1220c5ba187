"""Queries of SQLite and DuckDB files and of PostgreSQL servers, through connections that cannot
write.

A database is named by a URL: `sqlite:///FILE`, `duckdb:///FILE`, `postgresql://USER@HOST/NAME`.
libpq takes PostgreSQL's password from the environment (`PGPASSWORD`) or from `~/.pgpass`; it is
never part of the URL.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from resources.errors import DataError, EngineError
from resources.storage.postgresql import OPTIONS, driver, said
from resources.urls import shown

_Setting = str | bool | int | float | list[str]
_SECONDS_FOR_A_LOCK = 30


def query_columns(database: str, query: str, setting: str) -> list[str]:
    """Names of the columns of a query. `setting`: which one holds it."""
    return _run(database, f"SELECT * FROM ({_plain(query)}\n) AS wanted LIMIT 0", setting).columns


def query_rows(database: str, query: str, columns: Sequence[str], setting: str) -> pl.DataFrame:
    """Some of its columns; the rows sorted, for those of a query have no order of their own.

    Raises `EngineError` where the database cannot be reached, and `DataError` where it refuses the
    query.
    """
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    rows = _run(database, f"SELECT {names} FROM ({_plain(query)}\n) AS wanted", setting)
    return rows.sort(rows.columns, nulls_last=True)


def _plain(query: str) -> str:
    return query.strip().rstrip(";")


def _run(database: str, sql: str, setting: str) -> pl.DataFrame:
    scheme = urlsplit(database).scheme
    return _ENGINES[scheme](database, sql, setting)


def _sqlite(database: str, sql: str, setting: str) -> pl.DataFrame:
    uri = f"{_file_of(database).as_uri()}?mode=ro"
    try:
        connected = sqlite3.connect(uri, uri=True, timeout=_SECONDS_FOR_A_LOCK)
        with closing(connected) as connection:
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description]
            return _frame(names, cursor.fetchall())
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise _unreachable(database, error) from error
        raise _refused(database, setting, error) from error


def _duckdb(database: str, sql: str, setting: str) -> pl.DataFrame:
    import duckdb

    path = _file_of(database)
    # What a query may need is not downloaded behind its back.
    config: dict[str, _Setting] = {"autoinstall_known_extensions": "false"}
    try:
        with duckdb.connect(path, read_only=True, config=config) as connection:
            found = connection.sql(sql).to_arrow_table()
    except duckdb.IOException as error:  # another process writes it
        raise _unreachable(database, error) from error
    except duckdb.Error as error:
        raise _refused(database, setting, error) from error
    return pl.DataFrame(pl.from_arrow(found))


def _postgresql(database: str, sql: str, setting: str) -> pl.DataFrame:
    psycopg = driver("data.database")
    try:
        with psycopg.connect(database, **OPTIONS) as connection:
            connection.read_only = True
            connection.execute("SET TIME ZONE 'UTC'")
            # Prepared, for the server then takes no second statement.
            cursor = connection.execute(sql.encode(), prepare=True)
            names = [column.name for column in cursor.description or ()]
            return _frame(names, cursor.fetchall())
    except psycopg.OperationalError as error:
        raise _unreachable(database, error) from error
    except psycopg.Error as error:
        raise _refused(database, setting, error) from error


_ENGINES: Mapping[str, Callable[[str, str, str], pl.DataFrame]] = {
    "sqlite": _sqlite,
    "duckdb": _duckdb,
    "postgresql": _postgresql,
}


def _file_of(database: str) -> Path:
    path = Path(database.partition(":///")[2])
    if not path.is_file():
        raise DataError(
            f"data.database: {path} does not exist or is no file; name an existing one, with its "
            "full path behind three slashes"
        )
    return path.resolve()


def _frame(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return pl.DataFrame([_series(n, each) for n, each in zip(names, columns, strict=True)])


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    """A column of what a driver gives: of one kind, or else text. SQLite's may be of several."""
    kinds = {type(value) for value in values} - {type(None)}
    if Decimal in kinds:
        values = [float(value) if isinstance(value, Decimal) else value for value in values]
        kinds = kinds - {Decimal} | {float}
    if len(kinds) == 1 and kinds <= {bool, int, float, str, bytes, date, datetime}:
        return pl.Series(name, values, strict=False)
    if kinds == {int, float}:
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    return pl.Series(name, [_text(value) for value in values], dtype=pl.Utf8)


def _text(value: object) -> str | None:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return None if value is None else str(value)


def _unreachable(database: str, error: Exception) -> EngineError:
    return EngineError(
        f"data.database: {shown(database)} cannot be read now: {said(error)}. Check that it is "
        "there, that the user may log in (PGPASSWORD holds a password) and that no other process "
        "holds it, and try again; what was stored stays"
    )


def _refused(database: str, setting: str, error: Exception) -> DataError:
    return DataError(
        f"{setting}: {shown(database)} refused the query: {said(error)}. Correct {setting}, one "
        "SELECT, or give the user the right to read what it names; what was stored stays"
    )
