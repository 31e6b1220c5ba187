"""Recommendations as a table of a real PostgreSQL server: all of them, or nothing."""

import json
from collections.abc import Iterator

import polars as pl
import psycopg
import pytest

from benchmarks.chaos.home import Home
from curec_assets.cli.app import main
from curec_assets.definitions import default_resources
from curec_assets.serving.exported import write_to_postgresql
from resources.errors import DataError, EngineError
from tests.support.postgresql import Server, binaries, server

WHERE = binaries()
pytestmark = [
    pytest.mark.graph,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        WHERE is None, reason="no PostgreSQL server here: apt-get install postgresql"
    ),
]
EXPORT = ["export", "recommendations"]


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    assert WHERE is not None
    with server(WHERE) as found:
        monkeypatch.setenv("PGPASSWORD", found.password)
        yield found


def test_a_server_gets_every_recommendation_once(
    filled_home: Home,
    database: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CUREC_HOME", str(filled_home.path))
    warehouse = default_resources("smoke", filled_home.path)["warehouse"]
    table = warehouse.read("recommendations").sort("user_id", "rank")
    assert main([*EXPORT, database.url, "--to", "postgres"]) == 0
    assert main([*EXPORT, database.url, "--to", "postgres"]) == 1
    assert "drop or rename it" in capsys.readouterr().err
    with psycopg.connect(database.url) as connection:
        names = ", ".join(f'"{name}"' for name in table.columns)
        rows = connection.execute(
            f'SELECT {names} FROM recommendations ORDER BY user_id COLLATE "C", rank'.encode()
        ).fetchall()
        [(kind,)] = connection.execute("SELECT jsonb_typeof(facts) FROM recommendations LIMIT 1")
    assert rows == [
        tuple(json.loads(json.dumps(cell)) if isinstance(cell, list) else cell for cell in row)
        for row in table.rows()
    ]
    assert kind == "array"


def test_what_cannot_be_written_leaves_nothing(database: Server) -> None:
    rows = pl.DataFrame({"user_id": ["a", "a"], "rank": [1, 1], "reason": ["x", "y"]})
    with pytest.raises(DataError, match=r"refused the rows.*nothing is written"):
        write_to_postgresql(rows, database.url)
    write_to_postgresql(rows.with_columns(rank=pl.Series([1, 2])), database.url)
    database.stop()
    with pytest.raises(EngineError, match="cannot be written now"):
        write_to_postgresql(rows, database.url)


@pytest.mark.parametrize(
    ("place", "form"),
    [
        ("postgresql://owner:secret-word@127.0.0.1/postgres", "postgres"),
        ("out.parquet", "postgres"),
        ("postgresql://owner@127.0.0.1/postgres", "csv"),
    ],
)
def test_a_place_of_another_kind_is_refused_and_no_password_repeated(
    filled_home: Home,
    place: str,
    form: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CUREC_HOME", str(filled_home.path))
    assert main([*EXPORT, place, "--to", form]) == 1
    said = capsys.readouterr().err
    assert "postgres" in said and "secret-word" not in said
