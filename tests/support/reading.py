"""What a source says, without a warehouse."""

import polars as pl

from curec_assets.datasets.interactions import build_interactions
from curec_assets.datasets.ledger import read_all
from curec_assets.datasets.sources.source import DataSource


def all_rows(source: DataSource) -> pl.DataFrame:
    """The rows of all files, in the order of reading."""
    return pl.concat(source.interactions(name) for name in source.files())


def all_quarantined(source: DataSource) -> pl.DataFrame:
    """The cells in quarantine of all files."""
    return pl.concat(source.quarantine(name) for name in source.files())


def events_of(source: DataSource, item_ids: pl.Series, liked_threshold: float) -> pl.DataFrame:
    """`schema.INTERACTIONS`."""
    return build_interactions(read_all(source), item_ids, liked_threshold=liked_threshold).events
