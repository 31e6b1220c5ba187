"""A copy of the warehouse beside it, of its last good state, to restore it from.

DuckDB reads every block for it and checks its checksum, so that what is copied is whole.
"""

import os
from pathlib import Path

from resources.errors import ArtifactError
from resources.storage.model_store import sync
from resources.storage.warehouse import Warehouse
from resources.storage.warehouse_faults import copy_of


def keep_copy(warehouse: Warehouse) -> Path:
    """Make the copy anew, atomically and for its owner only; the one before stays until then.

    Nothing is written meanwhile. Raises `ArtifactError` when the warehouse is damaged or is not
    there, or the disk is full.
    """
    return _copy(warehouse, copy_of(warehouse.path))


def compact(warehouse: Warehouse) -> None:
    """Write the warehouse anew, and its copy if it has one, without what deleted rows have left.

    Raises as `keep_copy`; the file is then as it was.
    """
    _copy(warehouse, Path(warehouse.path))
    if copy_of(warehouse.path).exists():
        keep_copy(warehouse)


def _copy(warehouse: Warehouse, final: Path) -> Path:
    """All tables in a file of their own, which takes the place of `final`."""
    import duckdb

    _sweep(Path(warehouse.path))
    final = final.resolve()  # through a link: what it leads to is what must not stay
    temporary = final.with_name(f".{final.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    name = str(temporary).replace("'", "''")
    try:
        with warehouse.reading() as connection:  # while it is open nobody can write
            [(stored,)] = connection.execute("SELECT current_database()").fetchall()
            connection.execute(f"ATTACH '{name}' AS curec_copy (READ_WRITE)")
            connection.execute(f'COPY FROM DATABASE "{stored}" TO curec_copy')
            connection.execute("DETACH curec_copy")
            temporary.chmod(0o600)
            sync(temporary)
            temporary.replace(final)
    except duckdb.IOException as error:
        raise ArtifactError(
            f"{final} could not be written from warehouse {warehouse.path}: {error}. It is as it "
            "was. Free disk space and run the same command again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return final


def _sweep(path: Path) -> None:
    """Remove what processes that were killed had begun to write beside the warehouse."""
    import psutil

    ours = f".{path.stem}."
    for begun in path.parent.glob(f"{ours}*"):
        parts = begun.name.removeprefix(ours).split(".")
        process = next((int(part) for part in parts if part.isdigit()), None)
        if process is not None and not psutil.pid_exists(process):
            begun.unlink(missing_ok=True)
