"""RecBole's atomic files: tab-separated, no quotes, a header of `name:type` cells.

https://recbole.io/docs/user_guide/data/atomic_files.html. A column is called by its name alone.
Types that end in `_seq` are lists, whose values a space divides.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from resources.errors import DataError

_TYPES = ("token", "token_seq", "float", "float_seq")


def atomic_columns(path: Path) -> list[str]:
    """Names of its columns, without their types."""
    return list(_types(path))


def atomic_rows(path: Path, columns: Sequence[str], most: int | None) -> pl.DataFrame:
    """Some of its columns as text, or lists of text; at most the first `most` rows."""
    types = _types(path)
    heads = {f"{name}:{types[name]}": name for name in columns}
    rows = pl.read_csv(
        path,
        columns=list(heads),
        separator="\t",
        quote_char=None,
        infer_schema=False,
        n_rows=most,
    )
    lists = [head for head in heads if head.endswith("_seq")]
    return rows.select(list(heads)).with_columns(pl.col(lists).str.split(" ")).rename(heads)


def _types(path: Path) -> dict[str, str]:
    """Name of each column → its type."""
    heads = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False, n_rows=0).columns
    found: dict[str, str] = {}
    for head in heads:
        name, _, kind = head.rpartition(":")
        if not name or ":" in name or kind not in _TYPES:
            raise DataError(
                f"{path}, line 1: found the column {head!r}, expected name:type with one of the "
                f"types {', '.join(_TYPES)}, divided by tabs, as in RecBole's atomic files. "
                "Correct the header, or rename the file if it is CSV (.csv, .tsv)"
            )
        found[name] = kind
    return found
