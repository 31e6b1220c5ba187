"""Fingerprints and content hashes: is this artifact still the right one?

A *fingerprint* is known before the work: it hashes the asset's code version, the settings that the
result depends on, and the data versions of what is read. A *data version* is known after it: it
hashes the content. Equal fingerprints mean that the work need not be done again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl


def digest(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of `value` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(
    *, asset: str, code_version: str, config: Mapping[str, Any], inputs: Mapping[str, str]
) -> str:
    """Identity of a piece of work; changes exactly when one of its arguments does."""
    return digest(
        {"asset": asset, "code": code_version, "config": dict(config), "inputs": dict(inputs)}
    )


def content_hash(frame: pl.DataFrame, *, key: Sequence[str]) -> str:
    """Hash of a table's schema and rows, whatever the order of its rows and columns.

    `key` names the columns that identify a row; rows are hashed in its order.
    """
    columns = sorted(frame.columns)
    ordered = frame.select(columns).sort(key, nulls_last=True)
    hasher = hashlib.sha256()
    hasher.update(json.dumps([(c, str(ordered.schema[c])) for c in columns]).encode())
    for chunk in ordered.iter_slices(50_000):
        # Arrow's IPC bytes would depend on buffer layout; canonical JSON rows do not.
        hasher.update(chunk.write_ndjson().encode())
    return hasher.hexdigest()[:16]
