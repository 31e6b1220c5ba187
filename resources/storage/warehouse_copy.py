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
    import duckdb

    final = copy_of(warehouse.path)
    _sweep(Path(warehouse.path))
    temporary = final.with_name(f".{final.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    name = str(temporary).replace("'", "''")
    try:
        with warehouse.reading() as connection:
            [(stored,)] = connection.execute("SELECT current_database()").fetchall()
            connection.execute(f"ATTACH '{name}' AS curec_copy (READ_WRITE)")
            connection.execute(f'COPY FROM DATABASE "{stored}" TO curec_copy')
            connection.execute("DETACH curec_copy")
        temporary.chmod(0o600)
        sync(temporary)
        temporary.replace(final)
    except duckdb.IOException as error:
        raise ArtifactError(
            f"the copy {final} of warehouse {warehouse.path} could not be written: {error}. Free "
            "disk space and run `curec doctor --fix`; the copy before it is kept"
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
