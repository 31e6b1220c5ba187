"""`DataSource`: where interactions and items come from. A new format is one more of these."""

from typing import Protocol

import polars as pl

from curec_assets.datasets.sources.files import FilesSource
from curec_assets.datasets.sources.movielens import MovieLensSource
from curec_assets.settings import DataSettings
from resources.models.downloads import Downloads


class DataSource(Protocol):
    """A data set in its raw form, with ids as strings and times as Unix seconds.

    Fingerprints name the content that a table is made from (hashes of files, or the seed of a
    generator), so that unchanged files mean no work. All methods raise `DataError` for what cannot
    be used.
    """

    @property
    def whole(self) -> bool:
        """Whether the files say everything: an event that none of them has is no event."""
        ...

    def files(self) -> dict[str, str]:
        """Name → content hash of the files that interactions come in, in the order of reading."""
        ...

    def vouched_for(self, file: str) -> bool:
        """Whether whoever wrote the file has said that it is complete."""
        ...

    def interactions(self, file: str) -> pl.DataFrame:
        """The rows of a file, in its order: `schema.RAW_INTERACTIONS`."""
        ...

    def quarantine(self, file: str) -> pl.DataFrame:
        """Its cells for which rows were left out: `schema.QUARANTINE`; most sources have none."""
        ...

    def items(self) -> pl.DataFrame:
        """One row per item: `schema.RAW_ITEMS`."""
        ...

    def interactions_fingerprint(self) -> dict[str, str]:
        """Name → content hash of everything that `interactions` depends on: `files`, and how they
        are read.
        """
        ...

    def items_fingerprint(self) -> dict[str, str]:
        """Name → content hash of everything that `items` depends on."""
        ...


def open_source(settings: DataSettings, downloads: Downloads, seed: int) -> DataSource:
    """The source that the settings name; `seed` is used by the synthetic one only."""
    match settings.source:
        case "movielens-100k":
            return MovieLensSource(downloads)
        case "files":
            return FilesSource(settings, downloads)
        case "database":
            from curec_assets.datasets.sources.database import DatabaseSource

            return DatabaseSource(settings)
        case "toy":
            from curec_assets.datasets.sources.toy import ToySource

            return ToySource(seed)
