"""Tombstones: whose events must never be read again, without saying who.

Kept in the warehouse as salted hashes. They are pseudonyms, not secrets: whoever has the file and a
list of users can try them all.
"""

import hashlib
import os
import time

import polars as pl

from resources.storage.warehouse import Warehouse

_TABLE = "curec_forgotten"
_BYTES = 16


def bury(warehouse: Warehouse, user_id: str) -> str:
    """Put a tombstone, once; gives its hash."""
    with warehouse.writing() as connection:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {_TABLE} "
            "(salt VARCHAR, user_hash VARCHAR PRIMARY KEY, forgotten_at BIGINT)"
        )
        found = connection.execute(f"SELECT max(salt) FROM {_TABLE}").fetchall()[0][0]
        salt = found or os.urandom(_BYTES).hex()
        name = _hash(user_id, salt)
        connection.execute(
            f"INSERT OR IGNORE INTO {_TABLE} VALUES (?, ?, ?)", [salt, name, int(time.time())]
        )
    return name


def without_forgotten(warehouse: Warehouse, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose `user_id` has no tombstone."""
    forgotten = _tombstones(warehouse)
    if forgotten.is_empty():
        return rows
    salt, hashes = forgotten["salt"][0], set(forgotten["user_hash"])
    users = rows["user_id"].unique().to_list()
    gone = [user for user in users if user is not None and _hash(user, salt) in hashes]
    return rows.filter(~pl.col("user_id").is_in(gone).fill_null(value=False))


def _tombstones(warehouse: Warehouse) -> pl.DataFrame:
    if not warehouse.has(_TABLE):
        return pl.DataFrame(schema={"salt": pl.Utf8(), "user_hash": pl.Utf8()})
    return warehouse.query(f"SELECT salt, user_hash FROM {_TABLE}")


def _hash(user_id: str, salt: str) -> str:
    return hashlib.blake2b(
        user_id.encode(), key=bytes.fromhex(salt), digest_size=_BYTES
    ).hexdigest()
