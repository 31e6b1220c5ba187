"""MovieLens 1M and 10M: `ratings.dat` and `movies.dat`, cells divided by `::`, no header.

https://files.grouplens.org/datasets/movielens/ml-1m-README.txt. Text is UTF-8 (10M) or Latin-1.
Columns are called as the settings call them by default.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import polars as pl

from resources.errors import DataError

_SEPARATOR = "::"
_COLUMNS = {
    4: ("user_id", "item_id", "rating", "timestamp"),
    3: ("item_id", "title", "genres"),
}
"""By how many cells a line has."""


def dat_columns(path: Path, stream: BinaryIO) -> list[str]:
    """Names of its columns, by the number of cells of its first line."""
    first = _decoded(stream.readline()).rstrip("\r\n")
    found = first.count(_SEPARATOR) + 1
    if found not in _COLUMNS:
        raise DataError(
            f"{path}, line 1: found {found} cells divided by {_SEPARATOR!r}, expected 4 (user, "
            "item, rating, time) or 3 (item, title, genres), as in MovieLens' ratings.dat and "
            "movies.dat. Rename the file if it is CSV (.csv, .tsv)"
        )
    return list(_COLUMNS[found])


def dat_rows(
    stream: BinaryIO, names: Sequence[str], columns: Sequence[str], most: int | None
) -> pl.DataFrame:
    """Some columns of a file that has `names`, as text; null in lines with more or fewer cells."""
    lines = pl.DataFrame({"cells": _decoded(stream.read()).splitlines()[:most]})
    cells = pl.col("cells").str.split(_SEPARATOR)
    whole = cells.list.len() == len(names)
    places = {name: list(names).index(name) for name in columns}
    return lines.select(
        pl.when(whole).then(cells.list.get(place, null_on_oob=True)).alias(name)
        for name, place in places.items()
    )


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
