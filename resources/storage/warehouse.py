"""`Warehouse`: the tables of the project, in one DuckDB file.

Connections are short: opened for one read or one transaction and always closed, because while one
process has the file open for writing no other can open it, even to read. What is written is one
transaction, each table with its manifest; a reader sees the old tables or the new ones.
"""

import json
import os
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl
from pydantic import Field, ValidationError

from resources.errors import ArtifactError
from resources.storage.manifest import Manifest
from resources.storage.warehouse_faults import is_damage, is_lock, is_of_file, unusable

if TYPE_CHECKING:
    import duckdb

SCHEMA_VERSION = 1
_ROWS_AT_ONCE = 1_000_000
_MANIFESTS = "curec_manifests"
_META = "curec_meta"


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Tables in a DuckDB file, each stored with the manifest of how it was made."""

    path: str = Field(description="DuckDB file; created on first write.")
    lock_timeout_seconds: float = Field(
        120.0, description="How long to wait for another process that holds the file."
    )

    def read(self, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The whole table, or some columns of it, sorted as it was written.

        Raises `ArtifactError` when it has never been materialised, or is not what its manifest
        says.
        """
        with self.reading() as connection:
            manifest = self._manifest(connection, table)
            order = self._order(connection, table)
            rows = connection.sql(f'SELECT {_names(columns)} FROM "{table}"{order}').pl()
        if manifest and manifest.row_count not in (None, rows.height):
            raise ArtifactError(
                f"table {table!r} in warehouse {self.path} has {rows.height} rows, but its "
                f"manifest says {manifest.row_count}: it was changed from outside. "
                f"{_made_again(table)}"
            )
        return rows

    def matching(
        self, table: str, keys: pl.DataFrame, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """The rows of a table whose values in the columns of `keys` are a row of `keys`.

        Raises `ArtifactError` when the table has never been materialised.
        """
        with self.reading() as connection:
            order = self._order(connection, table)
            connection.register("wanted_keys", keys)
            return connection.sql(
                f'SELECT {_names(columns)} FROM "{table}" SEMI JOIN wanted_keys '
                f"USING ({_names(keys.columns)}){order}"
            ).pl()

    def above(self, table: str, column: str, value: int) -> pl.DataFrame:
        """The rows of a table with more than `value` in a column, in the order of that column.

        Raises `ArtifactError` when the table has never been materialised.
        """
        with self.reading() as connection:
            self._order(connection, table)
            return connection.sql(
                f'SELECT * FROM "{table}" WHERE "{column}" > ? ORDER BY "{column}"', params=[value]
            ).pl()

    def aggregate(self, table: str, expressions: str, by: str = "") -> pl.DataFrame:
        """SQL aggregates of a table, by the columns `by`; no row leaves DuckDB.

        Raises `ArtifactError` when the table has never been materialised.
        """
        with self.reading() as connection:
            self._order(connection, table)
            return connection.table(table).aggregate(expressions, by).pl()

    def query(self, sql: str, **frames: pl.DataFrame) -> pl.DataFrame:
        """The result of a read-only query; `frames` can be named in it like tables."""
        with self.reading() as connection:
            for name, frame in frames.items():
                connection.register(name, frame)
            return connection.sql(sql).pl()

    def manifest(self, table: str) -> Manifest | None:
        """How the stored table was made; None when there is no such table (or no longer).

        Raises `ArtifactError` when the record cannot be read.
        """
        return self._manifests([table])[table]

    def existing_manifest(self, table: str) -> Manifest:
        """How the stored table was made. Raises `ArtifactError` when there is none."""
        return self.existing_manifests([table])[table]

    def existing_manifests(self, tables: Iterable[str]) -> dict[str, Manifest]:
        """How each of these was made. Raises `ArtifactError` when one of them was not."""
        found = self._manifests(tables)
        missing = next((table for table, manifest in found.items() if manifest is None), None)
        if missing is not None:
            raise _never_made(missing, self.path)
        return {table: manifest for table, manifest in found.items() if manifest is not None}

    def data_version(self, table: str) -> str:
        """Content hash of the stored table. Raises `ArtifactError` when there is none."""
        return self.existing_manifest(table).data_version

    def write(self, table: str, frame: pl.DataFrame, manifest: Manifest) -> None:
        """Replace the table and its manifest in one transaction."""
        self.write_together([(table, frame, manifest)])

    def write_together(self, tables: Iterable[tuple[str, pl.DataFrame, Manifest]]) -> None:
        """Replace several tables in one transaction: all of them, or none."""
        with self.writing() as connection:
            for table, frame, manifest in tables:
                connection.register("new_rows", frame.clear())
                connection.execute(f'CREATE OR REPLACE TABLE "{table}" AS FROM new_rows')
                for rows in frame.iter_slices(_ROWS_AT_ONCE):  # DuckDB takes a copy of them
                    connection.register("new_rows", rows)
                    connection.execute(f'INSERT INTO "{table}" FROM new_rows')
                connection.unregister("new_rows")
                self._record(connection, table, manifest)

    def has(self, table: str) -> bool:
        """Whether there is such a table, with a manifest or without."""
        return table in self.tables()

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Every table → its columns; none where there is no file yet."""
        if not Path(self.path).exists():
            return {}
        with self.reading() as connection:
            found = connection.execute(
                "SELECT table_name, list(column_name ORDER BY column_index) "
                "FROM duckdb_columns() WHERE NOT internal GROUP BY table_name"
            ).fetchall()
        return {name: tuple(columns) for name, columns in found}

    def manifests(self) -> list[Manifest]:
        """How every stored table was made."""
        found = self._manifests(sorted(self.tables()))
        return [manifest for manifest in found.values() if manifest is not None]

    def drop(self, table: str) -> None:
        """Remove a table and its manifest."""
        with self.writing() as connection:
            connection.execute(f'DROP TABLE "{table}"')
            connection.execute(f"DELETE FROM {_MANIFESTS} WHERE asset = ?", [table])

    def record(self, manifests: Sequence[Manifest]) -> None:
        """Put manifests in the place of those of the same tables, in one transaction."""
        with self.writing() as connection:
            for manifest in manifests:
                self._record(connection, manifest.asset, manifest)

    def change(
        self, table: str, rows: pl.DataFrame, removed: pl.DataFrame, manifest: Manifest
    ) -> None:
        """Put `rows` in the place of those with the same key, remove others, in one transaction.

        `removed`: the keys of rows that go, so all of its columns are the key.
        """
        key = _names(removed.columns)
        with self.writing() as connection:
            gone = pl.concat([removed, rows.select(removed.columns)])
            connection.register("gone_keys", gone)
            connection.register("new_rows", rows)
            connection.execute(
                f'DELETE FROM "{table}" WHERE ({key}) IN (SELECT ({key}) FROM gone_keys)'
            )
            connection.execute(f'INSERT INTO "{table}" BY NAME SELECT * FROM new_rows')
            self._record(connection, table, manifest)

    @staticmethod
    def _record(connection: "duckdb.DuckDBPyConnection", table: str, manifest: Manifest) -> None:
        connection.execute(
            f"INSERT OR REPLACE INTO {_MANIFESTS} VALUES (?, ?)",
            [table, manifest.model_dump_json()],
        )

    @contextmanager
    def reading(self) -> Iterator["duckdb.DuckDBPyConnection"]:
        """A read-only connection, closed at the end of the block.

        Raises `ArtifactError` when there is no warehouse, or what is read of it is damaged.
        """
        import duckdb

        if not Path(self.path).exists():
            raise ArtifactError(
                f"warehouse {self.path} does not exist yet; materialise the `datasets` group first"
            )
        connection = self._connect(read_only=True)
        try:
            self._check_version(connection)
            yield connection
        except duckdb.Error as error:
            if not is_damage(error):
                raise
            raise unusable(self.path, error) from error
        finally:
            connection.close()

    @contextmanager
    def writing(self) -> Iterator["duckdb.DuckDBPyConnection"]:
        """A connection inside one transaction: committed at the end, rolled back on any error.

        Raises `ArtifactError` when the file is damaged or the disk is full.
        """
        import duckdb

        self._make_file()
        connection = self._connect(read_only=False)
        try:
            connection.begin()
            self._check_version(connection)
            yield connection
            connection.commit()
        except duckdb.Error as error:
            self._roll_back(connection)
            if is_damage(error) and not isinstance(error, duckdb.FatalException):
                raise unusable(self.path, error) from error
            if not (is_of_file(error) or isinstance(error, duckdb.TransactionException)):
                raise
            raise ArtifactError(
                f"warehouse {self.path} could not be written: {error}. What it held before is "
                "kept. Free disk space where that is what is missing, and run again"
            ) from error
        except BaseException:
            self._roll_back(connection)
            raise
        finally:
            connection.close()

    @staticmethod
    def _roll_back(connection: "duckdb.DuckDBPyConnection") -> None:
        """Give up the transaction, unless DuckDB has done so itself."""
        import duckdb

        with suppress(duckdb.Error):
            connection.rollback()

    def _make_file(self) -> None:
        """The file with no table yet, whole from the moment it is there."""
        import duckdb

        path = Path(self.path)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        with duckdb.connect(str(temporary)) as connection:
            connection.execute(f"CREATE TABLE {_META} (schema_version INTEGER)")
            connection.execute(
                f"CREATE TABLE {_MANIFESTS} (asset VARCHAR PRIMARY KEY, manifest VARCHAR)"
            )
            connection.execute(f"INSERT INTO {_META} VALUES (?)", [SCHEMA_VERSION])
        try:
            path.hardlink_to(temporary)  # unlike a renaming, never over another's
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            temporary.rename(path)
        temporary.unlink(missing_ok=True)

    def _connect(self, *, read_only: bool) -> "duckdb.DuckDBPyConnection":
        import duckdb

        deadline = time.monotonic() + self.lock_timeout_seconds
        pause = 0.05
        while True:
            try:
                return duckdb.connect(self.path, read_only=read_only)
            except duckdb.ConnectionException:  # open otherwise in this process
                raise
            except duckdb.Error as error:
                if not is_lock(error):
                    raise unusable(self.path, error) from error
                if time.monotonic() >= deadline:
                    raise ArtifactError(
                        f"warehouse {self.path} is still locked by another process after "
                        f"{self.lock_timeout_seconds:.0f} s: {error}. Close the program that has "
                        "it open and try again"
                    ) from error
                time.sleep(pause * (0.5 + random.random()))
                pause = min(2 * pause, 2.0)

    def _check_version(self, connection: "duckdb.DuckDBPyConnection") -> None:
        # fetchall: DuckDB 2 refuses further work while a result has not been read to its end.
        rows: Any = connection.execute(f"SELECT max(schema_version) FROM {_META}").fetchall()
        row = rows[0]
        if row[0] is not None and row[0] > SCHEMA_VERSION:
            raise ArtifactError(
                f"warehouse {self.path} has schema version {row[0]}, made by a newer CURec; this "
                f"one reads up to {SCHEMA_VERSION}. Upgrade CURec, or set CUREC_HOME elsewhere"
            )

    def _manifests(self, tables: Iterable[str]) -> dict[str, Manifest | None]:
        """By one connection: to open one takes longer than to read a manifest."""
        if not Path(self.path).exists():
            return dict.fromkeys(tables)
        with self.reading() as connection:
            return {table: self._manifest(connection, table) for table in tables}

    def _manifest(self, connection: "duckdb.DuckDBPyConnection", table: str) -> Manifest | None:
        rows = connection.execute(
            f"SELECT manifest FROM {_MANIFESTS} WHERE asset = ?", [table]
        ).fetchall()
        if not _is_there(connection, table):
            return None
        try:
            return Manifest.model_validate_json(rows[0][0]) if rows else None
        except ValidationError as error:
            raise ArtifactError(
                f"the manifest of table {table!r} in warehouse {self.path} is damaged ({error}). "
                f"{_made_again(table)}"
            ) from error

    def _order(self, connection: "duckdb.DuckDBPyConnection", table: str) -> str:
        """The clause that reads a table in its order. Raises when there is no such table."""
        found = connection.execute(
            f"SELECT manifest -> '$.order' FROM {_MANIFESTS} WHERE asset = ?", [table]
        ).fetchall()
        if not _is_there(connection, table):
            raise _never_made(table, self.path)
        columns: list[str] = json.loads(found[0][0] or "[]") if found else []
        return f" ORDER BY {_names(columns)}" if columns else ""


@dataclass(frozen=True)
class StoredTable:
    """A table that is looked at where it is stored, because it may be larger than memory."""

    warehouse: Warehouse
    name: str

    def aggregate(self, expressions: str, by: str = "") -> pl.DataFrame:
        """See `Warehouse.aggregate`."""
        return self.warehouse.aggregate(self.name, expressions, by)


def _is_there(connection: "duckdb.DuckDBPyConnection", table: str) -> bool:
    """Asked of the catalogue by name: `duckdb_tables()` counts the rows of every table."""
    import duckdb

    quoted = table.replace('"', '""')
    try:
        connection.execute(f'SELECT 1 FROM "{quoted}" LIMIT 0').fetchall()
    except duckdb.CatalogException:
        return False
    return True


def _names(columns: Sequence[str] | None) -> str:
    return ", ".join(f'"{column}"' for column in columns) if columns else "*"


def _made_again(table: str) -> str:
    return f'DROP TABLE "{table}" in that file and materialise the asset {table!r} again'


def _never_made(table: str, path: str) -> ArtifactError:
    return ArtifactError(
        f"table {table!r} is not in warehouse {path}; materialise the asset {table!r} first"
    )
