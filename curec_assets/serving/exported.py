"""Recommendations as files that other programs read, and as a table of a PostgreSQL server."""

import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl

from resources.errors import ConfigError, DataError, EngineError
from resources.storage.postgresql import OPTIONS, driver, said
from resources.urls import shown

TABLE = "recommendations"


def write_recommendations(rows: pl.DataFrame, file: Path, form: str) -> None:
    """Write rows of the table `recommendations` as `parquet`, `csv`, `jsonl` or `sqlite`.

    In CSV and SQLite, which have no lists, `facts` is JSON text.
    """
    if form == "parquet":
        rows.write_parquet(file)
    elif form == "jsonl":
        rows.write_ndjson(file)
    elif form == "csv":
        _flat(rows).write_csv(file)
    else:
        _write_sqlite(_flat(rows), file)


def write_to_postgresql(rows: pl.DataFrame, database: str) -> None:
    """Make the table `recommendations` of a server; all of it or nothing. `facts` is `jsonb`.

    Raises `ConfigError` where the server has such a table already, `EngineError` where it cannot be
    reached, and `DataError` where it refuses the rows.
    """
    psycopg = driver("the place to export to")
    columns = ", ".join(f'"{name}" {_type(dtype)}' for name, dtype in rows.schema.items())
    flat = _flat(rows)
    try:
        with psycopg.connect(database, **OPTIONS) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {TABLE} ({columns}, PRIMARY KEY (user_id, rank))")
            with cursor.copy(f"COPY {TABLE} FROM STDIN") as copy:
                for row in flat.iter_rows():
                    copy.write_row(row)
    except psycopg.errors.DuplicateTable as error:
        raise ConfigError(
            f"{shown(database)} has a table {TABLE!r} already; drop or rename it first, or name "
            "another database"
        ) from error
    except psycopg.OperationalError as error:
        raise EngineError(
            f"{shown(database)} cannot be written now: {said(error)}. Check that it is there and "
            "that the user may log in (PGPASSWORD holds a password), and try again; nothing is "
            "written"
        ) from error
    except psycopg.Error as error:
        raise DataError(
            f"{shown(database)} refused the rows: {said(error)}. Give the user the right to make "
            "tables, and try again; nothing is written"
        ) from error


def _type(dtype: pl.DataType) -> str:
    """Of PostgreSQL's, the one that holds all values of a column."""
    if dtype.is_nested():
        return "jsonb"
    if dtype.is_integer():
        return "bigint"
    if dtype.is_float():
        return "double precision"
    return "boolean" if dtype == pl.Boolean else "text"


def _flat(rows: pl.DataFrame) -> pl.DataFrame:
    """Nested columns as JSON text."""
    nested = [name for name, dtype in rows.schema.items() if dtype.is_nested()]
    as_text = {
        name: [
            line.removeprefix(f'{{"{name}":').removesuffix("}")
            for line in rows.select(name).write_ndjson().splitlines()
        ]
        for name in nested
    }
    return rows.with_columns(pl.Series(name, text) for name, text in as_text.items())


def _write_sqlite(rows: pl.DataFrame, file: Path) -> None:
    columns = ", ".join(f'"{name}"' for name in rows.columns)
    places = ", ".join("?" * rows.width)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"CREATE TABLE {TABLE} ({columns}, PRIMARY KEY (user_id, rank))")
        connection.executemany(
            f"INSERT INTO {TABLE} ({columns}) VALUES ({places})", rows.iter_rows()
        )
