"""Lines of Python literals, `{'asin': 'x', ...}`, as in Amazon's data of 2014: named .json, but no
JSON.

They are parsed by `ast.literal_eval`, which runs nothing, one line at a time and none that is
longer than `_LONGEST`. A line that is no dict of literals is None, as is a line of JSON that is
none.
"""

import ast
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import polars as pl

_LONGEST = 1_000_000  # bytes of a line
_REFUSALS = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)
"""All that `ast.literal_eval` raises for what it does not read; UnicodeDecodeError is a
ValueError."""


def keys_of(lines: Iterable[bytes]) -> tuple[list[str], bool]:
    """Keys of the objects on these lines in the order that they come in, and whether these are
    Python literals, for most of the lines that can be read are.
    """
    found: dict[bool, dict[str, None]] = {False: {}, True: {}}
    read = {False: 0, True: 0}
    for line in lines:
        value = _json(line)
        literal = value is None
        value = _literal(line) if literal else value
        if value is not None:
            read[literal] += 1
            found[literal] |= dict.fromkeys(value)
    literals = read[True] > read[False]
    return list(found[literals]), literals


def literal_rows(lines: Iterable[bytes], columns: Sequence[str]) -> pl.DataFrame:
    """Values of some keys as text, a row per line; lists and dicts as their JSON text."""
    rows = (_literal(line) or {} for line in lines if line.strip())
    texts = [_text(row.get(name)) for row in rows for name in columns]
    width = len(columns)
    return pl.DataFrame(
        {name: texts[at::width] for at, name in enumerate(columns)},
        schema=dict.fromkeys(columns, pl.Utf8()),
    )


def _json(line: bytes) -> Mapping[str, Any] | None:
    with suppress(ValueError, RecursionError):
        value = json.loads(line)
        return value if isinstance(value, dict) else None
    return None


def _literal(line: bytes) -> Mapping[str, Any] | None:
    if len(line) > _LONGEST or not line.lstrip().startswith(b"{"):
        return None
    with suppress(*_REFUSALS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes that mean themselves: '\d'
        value = ast.literal_eval(line.decode("utf-8").strip())
        return value if isinstance(value, dict) and all(isinstance(k, str) for k in value) else None
    return None


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    # A half of a surrogate pair is no character, and cannot be stored.
    return text and text.encode("utf-8", "replace").decode("utf-8")
