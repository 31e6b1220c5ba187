"""Release: how old the item itself was, whoever rated it first. Formula is ours."""

import numpy as np
import polars as pl

from curec_assets.evidence.event_log import EventLog, Floats, Queries

COLUMNS = {
    "release_age": "crowd",
    "release_known": "crowd",
}
"""Each number with the kind of fact (`schema.KINDS`) that it belongs to."""

_YEAR = 365.25 * 86_400.0
_EPOCH = 1970.0


class Release:
    """Years since the item's year of release; `read` gives `COLUMNS`."""

    columns = COLUMNS

    def __init__(self, items: pl.DataFrame, log: EventLog) -> None:
        """`items`: item_id, year (null: unknown)."""
        years = pl.DataFrame({"item_id": log.item_ids}).join(
            items.select("item_id", "year"), on="item_id", how="left", maintain_order="left"
        )["year"]
        # One place more: that of an item without events, whose year is not looked up.
        self._years = np.append(years.cast(pl.Float64).fill_null(np.nan).to_numpy(), np.nan)

    def read(self, queries: Queries) -> Floats:
        """(queries, columns). Of an unknown year both are 0."""
        years = self._years[queries.items]
        known = np.isfinite(years)
        age = _EPOCH + queries.times / _YEAR - np.where(known, years, 0.0)
        return np.column_stack([np.where(known, np.log1p(np.maximum(age, 0.0)), 0.0), known])
