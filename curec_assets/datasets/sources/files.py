"""Your own files, in any of the `formats`, with the column mapping of `DataSettings`.

Interactions in one file or in a folder of files (`inbox`); items, if there are any, in one file. A
file or a folder can be elsewhere (`remote`).
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
    folder_of,
    marked_done,
    standing_still,
)
from curec_assets.datasets.sources.remote import Copy, is_remote
from curec_assets.datasets.sources.tables import FileTable
from curec_assets.settings import DataSettings
from resources.errors import DataError
from resources.models.downloads import Downloads
from resources.urls import shown


class FilesSource:
    """Interactions and items from the files that the settings name."""

    def __init__(self, settings: DataSettings, downloads: Downloads | None = None) -> None:
        """`downloads`: whose folder holds copies of files that are elsewhere."""
        self._settings = settings
        self._folder = Path(downloads.cache_dir) if downloads else None
        self._copies: dict[str, Copy] = {}

    @cached_property
    def _interactions(self) -> Path:
        return self._local("interactions_path", many=True)

    @cached_property
    def _items(self) -> Path | None:
        return self._local("items_path") if self._settings.items_path else None

    def _local(self, setting: str, *, many: bool = False) -> Path:
        path: str = getattr(self._settings, setting)
        if not is_remote(path):
            return Path(path)
        most_bytes = self._settings.most_download_gb * 1e9
        copy = Copy(path, f"data.{setting}", self._folder, most_bytes=most_bytes, many=many)
        self._copies[setting] = copy  # it is there as long as this source is
        return copy.path

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
        copied = "interactions_path" in self._copies
        ready = files if self.whole or copied else standing_still(files)
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
        return read_items(self._table_at(self._items, "items_path"), self._settings)

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
        return self._table_at(self._path(file), "interactions_path")

    def _table_at(self, path: Path, setting: str) -> FileTable:
        copy = self._copies.get(setting)
        url = shown(copy.urls[path.name]) if copy else ""
        return FileTable(path, f"data.{setting}", self._settings.csv_separator, url)

    def _path(self, file: str) -> Path:
        return self._interactions if self.whole else self._folder_of_files / file

    @property
    def _folder_of_files(self) -> Path:
        return folder_of(self._interactions) or self._interactions
