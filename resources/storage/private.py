"""What is kept says what people liked: it is for the user alone whose process keeps it."""

import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from resources.errors import ConfigError

log = logging.getLogger(__name__)

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def keep_private(folder: Path, kept: Iterable[str]) -> None:
    """Close `folder`, and what `kept` (patterns of names) means in it, to group and others.

    What this process and its children make afterwards, wherever it is, is closed from the start.
    Where a mode cannot be changed (a foreign file, a read-only disk) that is said.
    """
    os.umask(_OTHERS)
    refused = [path for path in open_to_others(folder, kept) if not _closed(path)]
    if refused:
        log.warning(
            "%d files or folders in %s stay readable for others, such as %s: they belong to "
            "another user, or cannot be changed; change their owner, or move CUREC_HOME",
            len(refused),
            folder,
            refused[0],
        )


def not_writable(folder: Path) -> Path | None:
    """The folder or the first of what lies in it that this process cannot write; None: nothing."""
    if not folder.exists():
        return None
    return next((p for p in (folder, *sorted(folder.iterdir())) if not os.access(p, os.W_OK)), None)


def require_writable(folder: Path) -> None:
    """Raises `ConfigError` where something in `folder` cannot be written."""
    refused = not_writable(folder)
    if refused:
        raise ConfigError(
            f"{refused} cannot be written (read-only, or another user's); make it writable, or set "
            "CUREC_HOME to a folder that is (and DAGSTER_HOME with it, where that is set). Nothing "
            "was changed; `curec doctor` and `curec outcome` only read"
        )


def open_to_others(folder: Path, kept: Iterable[str]) -> Iterator[Path]:
    """What of it group or others may read, write or enter; from the outside in.

    Whoever closes each as it comes has it behind a closed door before it comes to its content.
    """
    if not folder.is_dir():
        return
    for top in (folder, *(found for pattern in kept for found in folder.glob(pattern))):
        below = top.is_dir() and not top.is_symlink() and top != folder
        for path in (top, *(_below(top) if below else ())):
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # another process has finished with it
                continue
            if not stat.S_ISLNK(mode) and mode & _OTHERS:
                yield path


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)


def _closed(path: Path) -> bool:
    try:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
