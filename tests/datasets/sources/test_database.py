"""Queries of SQLite and DuckDB files: what is read, what is refused; nothing is written."""

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from curec_assets.cli.app import main
from curec_assets.datasets.sources.database import DatabaseSource
from curec_assets.datasets.sources.source import open_source
from curec_assets.settings import DataSettings, load_profile
from resources.errors import ConfigError, DataError, EngineError
from resources.models.downloads import Downloads
from tests.support.ingest import cause, ingest, stored
from tests.support.reading import all_quarantined, all_rows
from tests.support.source_contract import SourceContract

ENGINES = ("sqlite", "duckdb")
EVENTS = (
    "SELECT who AS user_id, what AS item_id, stars AS rating, moment AS timestamp, mail FROM seen"
)
ITEMS = "SELECT * FROM things -- all of them;\n"
ROWS = [(f"u{n % 7}", f"x{n % 5}", 1.0 + n % 5, 1_700_000_000 + n, "a@b.org") for n in range(60)]
THINGS = [(f"x{n}", f"Thing {n}", "drama,war", 1990 + n) for n in range(5)]


def fill(engine: str, file: Path, rows: Sequence[Any] = ROWS) -> None:
    connect: Any = {"sqlite": sqlite3.connect, "duckdb": duckdb.connect}[engine]
    with closing(connect(file)) as connection:
        connection.execute(
            "CREATE TABLE seen (who TEXT, what TEXT, stars REAL, moment INT, mail TEXT)"
        )
        connection.executemany("INSERT INTO seen VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("CREATE TABLE things (item_id TEXT, title TEXT, genres TEXT, year INT)")
        connection.executemany("INSERT INTO things VALUES (?, ?, ?, ?)", THINGS)
        connection.commit()


def settings(engine: str, file: Path, **data: Any) -> dict[str, Any]:
    queries = {"interactions_query": EVENTS, "items_query": ITEMS}
    named = {"source": "database", "database": f"{engine}:///{file}"}
    return {**named, **queries, "attribute_columns": ("genres",), **data}


def source(engine: str, file: Path, **data: Any) -> DatabaseSource:
    return DatabaseSource(DataSettings(**settings(engine, file, **data)))


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(tmp_path: Path, engine: str) -> Path:
    fill(engine, tmp_path / "shop.db")
    return tmp_path / "shop.db"


class TestDatabase(SourceContract):
    """Each law of the contract."""

    @pytest.fixture
    def opened(self, engine: str, file: Path) -> DatabaseSource:
        return source(engine, file)


def test_rows_are_those_of_the_query_and_of_the_mapping(engine: str, file: Path) -> None:
    found = source(engine, file)
    assert sorted(all_rows(found)["timestamp"]) == [row[3] for row in ROWS]
    first = found.items().row(0, named=True)
    assert (first["item_id"], first["title"], first["year"]) == ("x0", "Thing 0", 1990)
    assert [each["value"] for each in first["attributes"]] == ["drama", "war"]
    alone = source(engine, file, items_query="").items()
    assert alone["item_id"].to_list() == [f"x{n}" for n in range(5)]


def test_the_settings_choose_it(engine: str, file: Path, tmp_path: Path) -> None:
    chosen = DataSettings(**settings(engine, file))
    assert isinstance(open_source(chosen, Downloads(cache_dir=str(tmp_path)), 1), DatabaseSource)


def test_the_version_is_of_the_rows_in_whatever_order_and_of_declared_columns_alone(
    engine: str, file: Path
) -> None:
    def version(query: str) -> dict[str, str]:
        return source(engine, file, interactions_query=query).interactions_fingerprint()

    assert (
        version(EVENTS)
        == version(f"{EVENTS} ORDER BY moment DESC;")
        == version(EVENTS.replace("mail", "'z' AS mail, 3 AS more"))
    )
    assert version(EVENTS) != version(f"{EVENTS} LIMIT 59")
    backwards = f"SELECT * FROM ({EVENTS}) AS rows ORDER BY timestamp DESC"
    one, other = (all_rows(source(engine, file, interactions_query=q)) for q in (EVENTS, backwards))
    assert one.equals(other)


def test_of_equal_events_the_greatest_rating_comes_last(engine: str, file: Path) -> None:
    twice = f"{EVENTS} UNION ALL SELECT 'u0', 'x0', 9.5, 1700000000, ''"
    found = all_rows(source(engine, file, interactions_query=twice))
    same = found.filter(user_id="u0", item_id="x0", timestamp=1_700_000_000)
    assert same["rating"].to_list() == [1.0, 9.5]


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ({"interactions_query": "SELECT nothing"}, ["data.interactions_query", "nothing"]),
        ({"interactions_query": "SELECT * FROM gone"}, ["refused the query", "gone", "what was"]),
        ({"interactions_query": "DELETE FROM seen"}, ["data.interactions_query", "one SELECT"]),
        ({"user_column": "mailbox"}, ["no column 'mailbox'", "data.user_column", "'user_id'"]),
        ({"interactions_query": f"{EVENTS} WHERE 1 = 0"}, ["no data row"]),
        ({"interactions_query": EVENTS.replace("stars", "mail")}, ["'a@b.org'", "a number"]),
        ({"time_column": "item_id"}, ["data.interactions_query, data row 1, column 'item_id'"]),
    ],
)
def test_a_wrong_query_is_named(
    engine: str, file: Path, data: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(DataError) as error:
        all_rows(source(engine, file, **data))
    for part in parts:
        assert part in str(error.value)


def test_a_wrong_query_of_items_is_named(engine: str, file: Path) -> None:
    with pytest.raises(DataError, match=r"data\.items_query.* has no column 'name'"):
        source(engine, file, title_column="name").items()
    people = "SELECT item_id, title, 'Ada Brook' AS genres FROM things"
    with pytest.raises(DataError, match="looks like a personal name"):
        source(engine, file, items_query=people).items()


def test_a_few_bad_rows_go_into_quarantine(engine: str, tmp_path: Path) -> None:
    fill(engine, tmp_path / "bad.db", [*ROWS, ("u1", None, 3.0, 1_700_000_000, "")])
    found = source(engine, tmp_path / "bad.db")
    assert all_rows(found).height == 60
    [left] = all_quarantined(found).rows(named=True)
    assert (left["file"], left["column"], left["value"]) == ("interactions_query", "item_id", None)


def test_a_column_of_many_kinds_is_text(tmp_path: Path) -> None:
    fill("sqlite", tmp_path / "odd.db", [*ROWS, (7, b"x1", "4.5", 1_700_000_000.9, "")])
    found = source("sqlite", tmp_path / "odd.db", interactions_query=EVENTS)
    assert all_rows(found).height == 61


def test_nothing_can_be_written(engine: str, file: Path) -> None:
    before = file.read_bytes()
    for query in (f"{EVENTS}); DELETE FROM seen; SELECT (1", "DELETE FROM seen RETURNING *"):
        with pytest.raises(DataError, match="refused the query"):
            all_rows(source(engine, file, interactions_query=query))
    assert file.read_bytes() == before


def test_what_is_no_database_is_named(engine: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.database: .*gone\.db does not exist"):
        all_rows(source(engine, tmp_path / "gone.db"))
    text = tmp_path / "text.db"
    text.write_text("no database\n" * 500, encoding="utf-8")
    with pytest.raises((DataError, EngineError), match=r"text\.db"):
        all_rows(source(engine, text))


@pytest.mark.fault("a database goes away")
def test_a_database_that_goes_away_leaves_what_was_stored(
    engine: str, file: Path, tmp_path: Path
) -> None:
    assert ingest(tmp_path, **settings(engine, file)).success
    before = stored(tmp_path)
    file.unlink()
    lost = ingest(tmp_path, **settings(engine, file))
    assert not lost.success and "data.database" in cause(lost)
    assert stored(tmp_path).equals(before)
    fill(engine, file, ROWS[:30])
    half = ingest(tmp_path, **settings(engine, file))
    assert not half.success and "data.most_lost_share" in cause(half)
    assert stored(tmp_path).equals(before)


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "part"),
    [
        (f"postgresql://ann:{SECRET}@host/shop", "environment variable PGPASSWORD"),
        (f"postgresql://host/shop?user=ann&password={SECRET}", "environment variable PGPASSWORD"),
        (f"postgresql://host/shop?sslpassword={SECRET}", "environment variable PGPASSWORD"),
        (f"mysql://host/{SECRET}", "begins with 'mysql'; set one of sqlite:///FILE"),
        (f"{SECRET}", "set one of sqlite:///FILE"),
        ("", "data.database is empty"),
    ],
)
def test_a_url_with_a_password_or_of_another_kind_is_refused_and_not_repeated(
    url: str, part: str
) -> None:
    with pytest.raises(ConfigError) as error:
        data = {"source": "database", "database": url, "interactions_query": EVENTS}
        load_profile("smoke", {"data": data})
    assert part in str(error.value) and SECRET not in str(error.value)


def test_without_a_driver_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    away = {"database": "postgresql://host/shop", "interactions_query": EVENTS}
    with pytest.raises(ConfigError, match=r"pip install 'curec\[postgresql\]'"):
        DatabaseSource(DataSettings(source="database", **away)).files()


def test_a_file_beside_the_profile_is_found(
    engine: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        f'extends = "smoke"\n[data]\nsource = "database"\ndatabase = "{engine}:///{file.name}"\n'
        f'interactions_query = "{EVENTS}"\n',
        encoding="utf-8",
    )
    assert main(["data", "check", "--profile", str(own)]) == 0
    assert "5 met of 5" in capsys.readouterr().out
