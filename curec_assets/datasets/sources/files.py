"""Your own files, in any of the `formats`, with the column mapping of `DataSettings`.

Interactions in one file or in a folder of files (`inbox`); items, if there are any, in one file.
"""

from functools import cached_property
from pathlib import Path

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.datasets.sources.catalogue import items_mapping, named_by, read_items
from curec_assets.datasets.sources.events import events_mapping, left_out, read_events
from curec_assets.datasets.sources.formats import ENDINGS
from curec_assets.datasets.sources.inbox import (
    file_hash,
    files_in,
    marked_done,
    standing_still,
)
from curec_assets.datasets.sources.tables import FileTable
from curec_assets.settings import DataSettings
from resources.errors import DataError


class FilesSource:
    """Interactions and items from the files that the settings name."""

    def __init__(self, settings: DataSettings) -> None:
        self._settings = settings
        self._interactions = Path(settings.interactions_path)
        self._items = Path(settings.items_path) if settings.items_path else None

    @property
    def whole(self) -> bool:
        """Whether there is one file, which says everything."""
        return self._interactions.is_file()

    def files(self) -> dict[str, str]:
        """The file, or those of the folder that are not being written, by name."""
        return self._ready

    @cached_property
    def _ready(self) -> dict[str, str]:
        files = files_in(self._interactions)
        ready = files if self.whole else standing_still(files)
        if not ready:
            raise DataError(
                f"{self._interactions}: found no file that can be read, expected one that ends in "
                f"{', '.join(ENDINGS)} and is not being written; put one in"
            )
        return {file.name: file_hash(file) for file in ready}

    def vouched_for(self, file: str) -> bool:
        """Whether an empty file of its name with `.done` at the end is beside it."""
        return marked_done(self._path(file))

    def interactions(self, file: str) -> pl.DataFrame:
        """The events that can be used, in the file's order."""
        return read_events(self._table(file), self._settings)

    def quarantine(self, file: str) -> pl.DataFrame:
        """The cells for which rows of the file were left out."""
        return left_out(self._table(file), self._settings, file)

    def items(self) -> pl.DataFrame:
        """The catalogue; without a file of items, the ids that events name."""
        if self._items is None:
            return named_by([self.interactions(file) for file in self.files()])
        table = FileTable(self._items, "data.items_path", self._settings.csv_separator)
        return read_items(table, self._settings)

    def interactions_fingerprint(self) -> dict[str, str]:
        """Hash of the interactions files, and the mapping."""
        return {"files": digest(self.files()), **events_mapping(self._settings)}

    def items_fingerprint(self) -> dict[str, str]:
        """Hash of the items file, and the mapping."""
        if self._items is None:
            return {"items": digest(self.files()), "columns": self._settings.item_column}
        if not self._items.is_file():
            raise DataError(
                f"{self._items} does not exist or is no file; set data.items_path to an existing "
                "file"
            )
        return {"items": file_hash(self._items), **items_mapping(self._settings)}

    def _table(self, file: str) -> FileTable:
        separator = self._settings.csv_separator
        return FileTable(self._path(file), "data.interactions_path", separator)

    def _path(self, file: str) -> Path:
        return self._interactions if self.whole else self._interactions / file
