"""The files that interactions come in: one that says everything, or all that are put into a folder.

Of a folder all that can be read, or those of a pattern (`reviews/part-*.jsonl.gz`). There a file is
taken once it stands still over two looks, or has an empty file of its name with `.done` at the end
beside it. Hidden files are passed over, so that one can be written under a hidden name and renamed.
"""

import hashlib
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from curec_assets.datasets.sources.formats import form_of
from resources.errors import DataError

_BETWEEN_LOOKS = 2.0  # seconds


def folder_of(path: Path) -> Path | None:
    """Where files are put: a folder, or what is before the pattern of their names; None if neither
    is there.
    """
    folder = path.parent if is_pattern(path.name) and not path.exists() else path
    return folder if folder.is_dir() else None


def is_there(path: Path) -> bool:
    """Whether it is a file, a folder, or a pattern of names in a folder."""
    return path.exists() or folder_of(path) is not None


def is_pattern(name: str) -> bool:
    """Whether it stands for many names."""
    return not set("*?[").isdisjoint(name)


def is_wanted(name: str, pattern: str) -> bool:
    """Whether a file of this name is read. An empty `pattern`: of any that can be."""
    fits = not pattern or fnmatchcase(name, pattern)
    return fits and form_of(Path(name)) is not None and not name.startswith(".")


def files_in(path: Path) -> list[Path]:
    """The file itself, or what can be read of a folder, by name. Raises `DataError` if neither."""
    if path.is_file():
        return [path]
    folder = folder_of(path)
    if folder is None:
        raise DataError(
            f"{path} does not exist, or is neither file nor folder; set data.interactions_path to "
            "a file with all interactions, or to a folder that files of them are put into (and a "
            "pattern of their names behind it, if some are meant)"
        )
    pattern = "" if folder == path else path.name
    return sorted(
        each for each in folder.iterdir() if is_wanted(each.name, pattern) and each.is_file()
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
