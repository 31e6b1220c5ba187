"""The files that interactions come in: one that says everything, or all that are put into a folder.

In a folder a file is taken once it stands still over two looks, or has an empty file of its name
with `.done` at the end beside it. Hidden files are passed over, so that one can be written under a
hidden name and renamed.
"""

import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from curec_assets.datasets.sources.formats import form_of
from resources.errors import DataError

_BETWEEN_LOOKS = 2.0  # seconds


def files_in(path: Path) -> list[Path]:
    """The file itself, or what can be read of a folder, by name. Raises `DataError` if neither."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(
            f"{path} does not exist, or is neither file nor folder; set data.interactions_path to "
            "a file with all interactions, or to a folder that files of them are put into"
        )
    return sorted(
        each
        for each in path.iterdir()
        if form_of(each) and each.is_file() and not each.name.startswith(".")
    )


def marked_done(file: Path) -> bool:
    """Whether whoever wrote the file has said that it is whole."""
    return file.with_name(f"{file.name}.done").exists()


def state(file: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def standing_still(files: Sequence[Path]) -> list[Path]:
    """Those that are not being written: waits for a second look at those that changed just now."""
    first = {file: state(file) for file in files}
    now = time.time_ns()
    young = {
        file
        for file, (_, changed) in first.items()
        if now - changed < _BETWEEN_LOOKS * 1e9 and not marked_done(file)
    }
    if young:
        time.sleep(_BETWEEN_LOOKS)
    return [file for file in files if file not in young or state(file) == first[file]]


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    return _hash_at(path, *state(path))


@lru_cache(maxsize=100_000)
def _hash_at(path: Path, size: int, changed: int) -> str:
    del size, changed  # they are the key: a file that was not touched is not read again
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
