"""Recommendations as files that other programs read."""

import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl

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
