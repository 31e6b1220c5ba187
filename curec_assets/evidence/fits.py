"""Fits that are kept from run to run.

Factors and EASE are fitted on the beginning of a log, again whenever it has grown by a share. The
last of these fits serves whatever is asked today, and stays good until the log has grown by that
share once more, or something in its beginning has changed. So it is kept, with a digest of what it
was made from. A file that is missing, damaged or made from something else is no fit: it is made
anew.
"""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError

from curec_assets.core.provenance import digest
from curec_assets.evidence.event_log import EventLog
from resources.storage.model_store import WRITING, sweep

log = logging.getLogger(__name__)

Values = npt.NDArray[np.floating]
_VALUES = "values"


@dataclass(frozen=True)
class Fit:
    """What was fitted on the first `size` events of a log."""

    size: int
    values: Values


class KeptFits:
    """One file per name, the latest; none without a folder."""

    def __init__(self, folder: Path | None, made_with: str) -> None:
        """`made_with`: a digest of the settings; the code is part of the folder's name."""
        self._folder = folder
        if folder:
            sweep(folder)
        self._made_with = made_with

    def find(self, name: str, events: EventLog, most: int) -> Fit | None:
        """The fit that was kept last, if it is one on at most `most` events, as they are now."""
        from safetensors import safe_open

        file = self._file(name)
        if file is None or not file.exists():
            return None
        try:
            with safe_open(file, "numpy") as stored:
                about, values = stored.metadata(), stored.get_tensor(_VALUES)
            size, made_from, content = int(about["size"]), about["made_from"], about["content"]
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            log.warning("%s cannot be read (%s); it is made anew", file, error)
            return None
        if content != _sha256(values):
            log.warning("%s is damaged; it is made anew", file)
            return None
        if size > most or made_from != self._made_from(events, size):
            return None
        return Fit(size, values)

    def keep(self, name: str, events: EventLog, fit: Fit) -> None:
        """Put it in the place of the last one; where that cannot be written, it is not kept."""
        from safetensors.numpy import save_file

        file = self._file(name)
        if file is None:
            return
        about = {
            "size": str(fit.size),
            "made_from": self._made_from(events, fit.size),
            "content": _sha256(fit.values),
        }
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=f"{WRITING}{os.getpid()}-", dir=file.parent) as folder:
                written = Path(folder) / file.name
                save_file({_VALUES: np.ascontiguousarray(fit.values)}, written, about)
                written.replace(file)
        except (SafetensorError, OSError) as error:
            log.warning("%s cannot be kept (%s); it will be made anew", file, error)

    def _file(self, name: str) -> Path | None:
        return self._folder / f"{name}.safetensors" if self._folder else None

    def _made_from(self, events: EventLog, size: int) -> str:
        return digest([self._made_with, events.beginning(size)])


def _sha256(values: Values) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
