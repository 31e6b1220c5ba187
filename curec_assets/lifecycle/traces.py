"""Where a home still knows a user: the proof of an erasure, which looks at everything.

The user's id is looked for as a whole value: in columns, also of lists, in JSON, and between the
marks that a page or a table puts around a cell. The sequence of items is looked for in lists.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from curec_assets.serving.votes import FILE as VOTES
from curec_assets.serving.votes import stray_votes
from curec_assets.serving.writers import BENCHMARK
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_FEWEST_ITEMS = 4  # fewer in a row are many people's
_COLUMNAR = ".parquet"
_BINARY = (".safetensors", ".duckdb")  # numbers, and tables that are looked at as tables


def traces(
    user_id: str,
    items: Sequence[str],
    warehouse: Warehouse,
    store: ModelStore,
    dagster_home: Path | None,
) -> list[str]:
    """What still names the user or has the user's items in their order; empty: nothing.

    `items`: in the order of time. `dagster_home`: where Dagster keeps runs and events, if on disk.
    """
    home = Path(store.root).parent
    found = list(_in_tables(user_id, items, warehouse))
    if stray := stray_votes(home, warehouse):
        found.append(f"{stray} votes in {home / VOTES} are on events that are no longer there")
    folders = [Path(store.root), home / BENCHMARK, *([dagster_home] if dagster_home else [])]
    for folder in folders:
        for file in _files(folder):
            if file.suffix == _COLUMNAR:
                found += _in_frame(file.name, pl.read_parquet(file), user_id, items)
            elif file.suffix not in _BINARY:
                where = str(file.relative_to(folder.parent))
                found += _in_text(where, file.read_bytes(), user_id, items)
    return found


def _files(folder: Path) -> Iterator[Path]:
    """All files, those behind links too: what a home keeps on another disk is its own."""
    seen: set[Path] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        if (real := Path(parent).resolve()) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (file for name in sorted(names) if (file := Path(parent, name)).is_file())


def _in_text(where: str, text: bytes, user_id: str, items: Sequence[str]) -> Iterator[str]:
    if _named(user_id).search(text):
        yield f"{where} names the user"
    sequence = json.dumps(list(items[:_FEWEST_ITEMS]))[1:-1].encode()
    if len(items) >= _FEWEST_ITEMS and sequence in text:
        yield f"{where} has the user's items in their order"


def _in_tables(user_id: str, items: Sequence[str], warehouse: Warehouse) -> Iterator[str]:
    for table in warehouse.tables():
        yield from _in_frame(f"table {table}", warehouse.query(f'FROM "{table}"'), user_id, items)


def _in_frame(where: str, rows: pl.DataFrame, user_id: str, items: Sequence[str]) -> Iterator[str]:
    for name, dtype in rows.schema.items():
        column = rows[name]
        if dtype == pl.Utf8 and (column == user_id).any():
            yield f"{where}, column {name!r}, names the user"
        elif dtype == pl.List(pl.Utf8):
            if column.list.contains(user_id).any():
                yield f"{where}, column {name!r}, names the user"
            if len(items) >= _FEWEST_ITEMS and any(
                _follow(values, items) for values in column.drop_nulls()
            ):
                yield f"{where}, column {name!r}, has the user's items in their order"


def _follow(values: pl.Series, items: Sequence[str]) -> bool:
    """Whether the first items stand one after the other among the values."""
    wanted, among = list(items[:_FEWEST_ITEMS]), values.to_list()
    return any(
        among[at : at + _FEWEST_ITEMS] == wanted for at in range(len(among) - _FEWEST_ITEMS + 1)
    )


def _named(user_id: str) -> re.Pattern[bytes]:
    name = re.escape(user_id).encode()
    return re.compile(rb'["\'>|] ?' + name + rb' ?["\'<|]|User ' + name + rb"\b")
