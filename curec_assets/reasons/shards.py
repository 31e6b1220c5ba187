"""Shards of a walk as Parquet files that are whole or not there.

A file's name ends in the hash of its bytes, so a shard that was damaged on the disk is known before
anything tries to parse it.
"""

import hashlib
import logging
import os
from pathlib import Path

import polars as pl

log = logging.getLogger(__name__)

_HASH = 16  # hex digits


def keep_shard(frame: pl.DataFrame, folder: Path, name: str) -> Path:
    """Write `frame` as the shard `name`, atomically; its file."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{os.getpid()}"
    frame.write_parquet(temporary)
    return temporary.rename(folder / f"{name}-{_hash(temporary)}.parquet")


def kept_shard(folder: Path, name: str) -> Path | None:
    """The file of the shard `name`; None when there is none. Damaged ones are removed, and said."""
    for path in sorted(folder.glob(f"{name}-*.parquet")):
        if path.stem == f"{name}-{_hash(path)}":
            return path
        log.warning("%s is damaged and left out; its reasons will be written again", path)
        path.unlink()
    return None


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:_HASH]
