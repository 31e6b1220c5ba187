"""Queries of a real PostgreSQL server, which asks for a password and goes away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from curec_assets.datasets.sources.database import DatabaseSource
from curec_assets.settings import DataSettings
from resources.errors import DataError, EngineError
from tests.support.ingest import cause, ingest, stored
from tests.support.postgresql import Server, binaries, server
from tests.support.reading import all_rows
from tests.support.source_contract import SourceContract

WHERE = binaries()
pytestmark = pytest.mark.skipif(
    WHERE is None, reason="no PostgreSQL server here: apt-get install postgresql"
)

TABLES = """\
CREATE TYPE mood AS ENUM ('calm', 'loud');
CREATE TABLE seen (who uuid, what bigint, stars numeric(3, 1), at timestamptz, mail text);
INSERT INTO seen
    SELECT md5((n % 7)::text)::uuid, n % 5, 1 + n % 5,
        timestamptz '2024-05-01 02:00+02' + n * interval '1 h', 'a@b.org'
    FROM generate_series(0, 59) AS n;
CREATE TABLE things (item_id int, title text, genres text[], moods jsonb, mood mood, price numeric);
INSERT INTO things SELECT n, 'Thing ' || n, '{drama,war}', '["x", "y"]', 'calm', 1.5
    FROM generate_series(0, 4) AS n;
CREATE FUNCTION take_all() RETURNS SETOF seen LANGUAGE sql AS 'DELETE FROM seen RETURNING *';
"""
EVENTS = "SELECT who AS user_id, what AS item_id, stars AS rating, at AS timestamp, mail FROM seen"
ITEMS = "SELECT * FROM things"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    assert WHERE is not None
    with server(WHERE) as found:
        with psycopg.connect(found.url, password=found.password) as connection:
            connection.execute(TABLES)
        yield found


@pytest.fixture
def database(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("PGPASSWORD", running.password)
    return running


def settings(database: Server, **data: Any) -> dict[str, Any]:
    queries = {"interactions_query": EVENTS, "items_query": ITEMS}
    named = {"source": "database", "database": database.url}
    attributes = {"attribute_columns": ("genres", "moods", "mood", "price")}
    return {**named, **queries, **attributes, **data}


def source(database: Server, **data: Any) -> DatabaseSource:
    return DatabaseSource(DataSettings(**settings(database, **data)))


class TestPostgreSQL(SourceContract):
    """Each law of the contract."""

    @pytest.fixture
    def opened(self, database: Server) -> DatabaseSource:
        return source(database)


def test_its_types_are_read_as_what_they_say(database: Server) -> None:
    found = source(database)
    events = all_rows(found).sort("timestamp")
    assert events.row(1)[1:] == (
        *("c4ca4238-a0b9-2382-0dcc-509a6f75849b", "1", 2.0, 1_714_525_200, None, False),
    )
    first = found.items().row(0, named=True)
    assert [tuple(each.values()) for each in first["attributes"]] == [
        *(("genre", "drama"), ("genre", "war"), ("moods", "x"), ("moods", "y")),
        *(("mood", "calm"), ("price", "1.5")),
    ]


@pytest.mark.parametrize(
    ("query", "part"),
    [
        (EVENTS.replace("seen", "take_all()"), "read-only transaction"),
        (f"{EVENTS}) AS a; COMMIT; DELETE FROM seen; SELECT * FROM (SELECT 1", "refused"),
        ("SELECT * FROM gone", 'relation "gone" does not exist'),
        ("SELECT who AS user_id FROM seen", "has no column 'item_id'"),
        (EVENTS.replace("stars", "1 / 0"), "division by zero"),
        (f"{EVENTS} WHERE mail ILIKE '100%'", "no data row"),
    ],
)
def test_a_query_that_writes_or_is_wrong_is_refused(
    database: Server, query: str, part: str
) -> None:
    with pytest.raises(DataError, match=part) as error:
        all_rows(source(database, interactions_query=query))
    assert "data.interactions_query" in str(error.value)
    assert all_rows(source(database)).height == 60


def test_a_wrong_password_is_not_repeated(
    database: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong-secret")
    with pytest.raises(EngineError, match="PGPASSWORD") as error:
        all_rows(source(database))
    assert "wrong-secret" not in repr(error.value) and "data.database" in str(error.value)


@pytest.mark.fault("a database goes away")
def test_a_server_that_goes_away_leaves_what_was_stored_and_no_password_is_kept(
    database: Server, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        assert ingest(home, instance, **settings(database)).success
        before = stored(home)
        database.stop()
        lost = ingest(home, instance, **settings(database))
        database.start()
        assert not lost.success
        for part in ("data.database", "127.0.0.1", "cannot be read now", "what was stored stays"):
            assert part in cause(lost)
        assert stored(home).equals(before)
        assert ingest(home, instance, **settings(database)).success
        assert stored(home).equals(before)
    kept = [file for file in home.rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if database.password.encode() in file.read_bytes()]
