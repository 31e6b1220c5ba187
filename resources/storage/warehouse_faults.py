"""What DuckDB's errors mean for its file, and what to do about it.

DuckDB keeps a checksum of every block and checks it whenever it reads one, so a file whose bytes
were changed is found out, or the change was where nothing is stored.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from resources.errors import ArtifactError

if TYPE_CHECKING:
    import duckdb

# As DuckDB begins to say it; a path, which may have any name, comes later.
_LOCKED = "IO Error: Could not set lock on file"
_CANNOT_READ = "IO Error: Could not read"


def copy_of(path: str) -> Path:
    """Where the copy of the last good state of a warehouse is kept."""
    file = Path(path)
    return file.with_name(f"{file.stem}.good{file.suffix}")


def is_lock(error: "duckdb.Error") -> bool:
    """Whether another process holds the file."""
    return str(error).startswith(_LOCKED)


def is_damage(error: "duckdb.Error") -> bool:
    """Whether stored bytes are not what was written, or fewer."""
    import duckdb

    # A wrong checksum is an error of no class of its own.
    kinds = (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)
    return (
        type(error) is duckdb.Error
        or isinstance(error, kinds)
        or str(error).startswith(_CANNOT_READ)
    )


def is_of_file(error: "duckdb.Error") -> bool:
    """Whether it is the file that is wrong, and not what was asked of it."""
    import duckdb

    return isinstance(error, duckdb.IOException) or is_damage(error)


def unusable(path: str, error: "duckdb.Error") -> ArtifactError:
    """The error for a file that cannot be opened or read."""
    if Path(path).is_file() and not os.access(path, os.R_OK | os.W_OK):
        return ArtifactError(
            f"warehouse {path} cannot be opened: {error}. Let this user read and write it"
        )
    return ArtifactError(
        f"warehouse {path} cannot be opened or read: {error}. {how_to_restore(path)}"
    )


def how_to_restore(path: str) -> str:
    """What to do about a damaged file, in words."""
    copy = copy_of(path)
    if copy.exists():
        return (
            f"Move it away, copy {copy}, the last good state, to its place, and run again: what is "
            "newer is made again"
        )
    return "Restore it from a backup, or move it away and materialise again"
