"""Connections to PostgreSQL servers, which another process may take down.

libpq takes the password from the environment (`PGPASSWORD`) or from `~/.pgpass`; it is never part
of the URL.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from resources.errors import ConfigError

OPTIONS: Mapping[str, Any] = {
    "application_name": "curec",
    "connect_timeout": 10,  # seconds
    # A server that says nothing for a minute is taken for gone.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""Of every connection."""


def driver(asked_by: str) -> ModuleType:
    """`psycopg`. Raises `ConfigError` where it is not installed; `asked_by`: what needs it."""
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError(
            f"{asked_by} names a PostgreSQL server, but psycopg cannot be imported "
            f"({error}): `pip install 'curec[postgresql]'`"
        ) from error
    return psycopg


def said(error: Exception) -> str:
    """What a database says, on one line."""
    return " ".join(str(error).split()).rstrip(".?") or type(error).__name__
