"""Queries of a database: one for events, and one for items if there are any.

They say everything, as one file does: an event that a later answer lacks is no event. Only the
columns that the settings name are asked for, and no copy of an answer is kept. What is versioned
is the answer, whatever the query says and in whichever order its rows come.
"""

from collections.abc import Sequence

import polars as pl

from curec_assets.core.provenance import content_hash, digest
from curec_assets.datasets.sources.catalogue import (
    columns_of_items,
    items_mapping,
    named_by,
    read_items,
)
from curec_assets.datasets.sources.events import (
    columns_of_events,
    events_mapping,
    left_out,
    read_events,
)
from curec_assets.datasets.sources.queries import query_columns, query_rows
from curec_assets.settings import DataSettings

_EVENTS = "interactions_query"
_ITEMS = "items_query"


class QueryTable:
    """The answer to a query, which is asked for once."""

    separated = False

    def __init__(self, settings: DataSettings, name: str) -> None:
        """`name`: of the setting that holds the query."""
        self.name = f"data.{name}"
        self._database = settings.database
        self._query: str = getattr(settings, name)
        self._columns: list[str] | None = None
        self._rows: dict[tuple[str, ...], pl.DataFrame] = {}

    def columns(self) -> list[str]:
        """Names of the columns that the query gives."""
        if self._columns is None:
            self._columns = query_columns(self._database, self._query, self.name)
        return self._columns

    def rows(self, columns: Sequence[str]) -> pl.DataFrame:
        """Some of its columns, sorted by them."""
        wanted = tuple(dict.fromkeys(columns))
        if wanted not in self._rows:
            self._rows[wanted] = query_rows(self._database, self._query, wanted, self.name)
        return self._rows[wanted]

    def line_offset(self, rows: int) -> None:
        """None: rows are no lines."""

    def version(self, columns: Sequence[str]) -> str:
        """Hash of some of its columns, whatever the order of the rows."""
        return content_hash(self.rows(columns), key=list(dict.fromkeys(columns)))


class DatabaseSource:
    """Interactions and items from the queries that the settings hold."""

    whole = True

    def __init__(self, settings: DataSettings) -> None:
        self._settings = settings
        self._events = QueryTable(settings, _EVENTS)
        self._items = QueryTable(settings, _ITEMS) if settings.items_query else None

    def files(self) -> dict[str, str]:
        """The query of interactions, and the hash of its answer."""
        columns = columns_of_events(self._events, self._settings)
        return {_EVENTS: self._events.version(list(columns.values()))}

    def vouched_for(self, file: str) -> bool:
        """Never: a table may be half filled."""
        return False

    def interactions(self, file: str) -> pl.DataFrame:
        """The events that can be used, sorted by user, item, rating and time."""
        return read_events(self._events, self._settings)

    def quarantine(self, file: str) -> pl.DataFrame:
        """The cells for which rows were left out."""
        return left_out(self._events, self._settings, file)

    def items(self) -> pl.DataFrame:
        """The catalogue; without a query of items, the ids that events name."""
        if self._items is None:
            return named_by([self.interactions(_EVENTS)])
        return read_items(self._items, self._settings)

    def interactions_fingerprint(self) -> dict[str, str]:
        """Hash of the answer, and the mapping."""
        return {"files": digest(self.files()), **events_mapping(self._settings)}

    def items_fingerprint(self) -> dict[str, str]:
        """Hash of the answer, and the mapping."""
        settings = self._settings
        if self._items is None:
            return {"items": digest(self.files()), "columns": settings.item_column}
        version = self._items.version(columns_of_items(self._items, settings))
        return {"items": version, **items_mapping(settings)}
