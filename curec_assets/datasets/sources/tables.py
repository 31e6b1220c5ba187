"""`Table`: rows under named columns, wherever they are; of them only what is asked for is read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from curec_assets.datasets.sources.formats import (
    columns_of,
    is_separated,
    line_offset,
    rows_of,
)
from resources.errors import DataError


class Table(Protocol):
    """What events or items are read from. All methods raise `DataError` for what is unreadable."""

    @property
    def name(self) -> str:
        """What errors call it."""
        ...

    @property
    def separated(self) -> bool:
        """Whether `data.csv_separator` tells its cells apart."""
        ...

    def columns(self) -> list[str]:
        """Names of its columns."""
        ...

    def rows(self, columns: Sequence[str]) -> pl.DataFrame:
        """Some of its columns, each once; rows in their order."""
        ...

    def line_offset(self, rows: int) -> int | None:
        """Lines before the first of its `rows` rows; None where rows are no lines."""
        ...


@dataclass(frozen=True)
class FileTable:
    """A file, in any of the `formats`."""

    path: Path
    setting: str
    """Which setting names it."""
    separator: str = ""
    url: str = ""
    """Where it is a copy from."""

    @property
    def name(self) -> str:
        """Where it comes from, or the path."""
        return self.url or str(self.path)

    @property
    def separated(self) -> bool:
        """Whether it is CSV."""
        return is_separated(self.path)

    def columns(self) -> list[str]:
        """Names of its columns."""
        with self._named():
            return columns_of(self.path, self.setting, self.separator)

    def rows(self, columns: Sequence[str]) -> pl.DataFrame:
        """Some of its columns."""
        with self._named():
            return rows_of(self.path, columns, self.setting, self.separator)

    def line_offset(self, rows: int) -> int | None:
        """Lines of its head."""
        return line_offset(self.path, rows)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors name a copy by where it comes from, for it goes again."""
        try:
            yield
        except DataError as error:
            raise DataError(str(error).replace(str(self.path), self.name)) from error


def require_column(table: Table, columns: Sequence[str], name: str, setting: str) -> None:
    """Raise `DataError` where `columns`, those of the table, lack what a setting names."""
    if name in columns:
        return
    why = ""
    if "rating" in setting:
        why = (
            " (without ratings nothing tells likes from dislikes; of clicks, plays or sales set "
            'data.feedback = "implicit")'
        )
    raise DataError(
        f"{table.name} has no column {name!r}, which {setting} names{why}; it has "
        f"{', '.join(map(repr, columns))}. "
        + (
            "If that is several columns in one, set data.csv_separator"
            if len(columns) == 1 and table.separated
            else f"Set {setting} to one of these"
        )
    )
