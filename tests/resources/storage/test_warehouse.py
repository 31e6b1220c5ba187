"""The warehouse: a table and its manifest change together or not at all, and processes wait."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import duckdb
import polars as pl
import pytest

from resources.errors import ArtifactError
from resources.storage.manifest import Manifest
from resources.storage.warehouse import SCHEMA_VERSION, Warehouse

ROWS = pl.DataFrame(
    {
        "key": ["b", "a", "ü\n'"],
        "n": [1, None, 3],
        "attributes": [[{"kind": "genre", "value": "x"}], [], None],
        "vector": pl.Series([[1.0, 2.0]] * 3, dtype=pl.Array(pl.Float32, 2)),
    }
)


def manifest(table="things", version="v1", rows=3):
    return Manifest(
        asset=table,
        fingerprint="f",
        data_version=version,
        code_version="1",
        row_count=rows,
        created_at=datetime.now(UTC),
    )


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(path=str(tmp_path / "sub" / "w.duckdb"), lock_timeout_seconds=20)


@pytest.fixture
def filled(warehouse):
    warehouse.write("things", ROWS, manifest())
    return warehouse


def test_what_is_written_is_read_in_order_with_its_types(filled):
    assert filled.read("things").equals(ROWS)
    assert filled.read("things").schema == ROWS.schema
    assert filled.read("things", ["n", "key"]).equals(ROWS.select("n", "key"))
    assert filled.data_version("things") == "v1"


def test_vectors_are_fixed_size_float_columns(filled):
    types = filled.query(
        "SELECT data_type FROM duckdb_columns() "
        "WHERE table_name = 'things' AND column_name = 'vector'"
    )
    assert types.item() == "FLOAT[2]"


def test_a_query_can_name_a_frame(filled):
    wanted = pl.DataFrame({"key": ["a"]})
    found = filled.query("SELECT key FROM things SEMI JOIN wanted USING (key)", wanted=wanted)
    assert found["key"].to_list() == ["a"]


def test_nothing_there_says_what_to_do(warehouse):
    assert warehouse.manifest("things") is None
    with pytest.raises(ArtifactError, match="does not exist yet"):
        warehouse.read("things")
    warehouse.write("things", ROWS, manifest())
    assert warehouse.manifest("others") is None
    for look in (warehouse.read, warehouse.data_version):
        with pytest.raises(ArtifactError, match="materialise the asset 'others' first"):
            look("others")


def test_a_failing_transaction_leaves_the_old_table(filled):
    with pytest.raises(duckdb.Error), filled.writing() as connection:
        connection.execute("CREATE OR REPLACE TABLE things AS SELECT 1 AS x")
        connection.execute("SELECT * FROM no_such_table")
    with pytest.raises(KeyboardInterrupt), filled.writing() as connection:
        connection.execute("DROP TABLE things")
        raise KeyboardInterrupt
    assert filled.read("things").equals(ROWS)
    assert filled.data_version("things") == "v1"


def test_tables_written_together_are_all_replaced_or_none(filled):
    def replaced():
        yield "things", ROWS.head(1), manifest(version="v2", rows=1)
        yield "others", ROWS.head(2), manifest("others", "v2", rows=2)

    def cut_short():
        yield from replaced()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled.write_together(cut_short())
    assert filled.read("things").equals(ROWS)
    assert filled.manifest("others") is None
    filled.write_together(replaced())
    assert filled.read("things").equals(ROWS.head(1))
    assert filled.read("others").equals(ROWS.head(2))
    assert filled.data_version("things") == filled.data_version("others") == "v2"


def test_a_manifest_that_cannot_be_written_keeps_table_and_manifest(filled, monkeypatch):
    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Manifest, "model_dump_json", fails)
    with pytest.raises(OSError, match="No space"):
        filled.write("things", ROWS.head(1), manifest(version="v2"))
    monkeypatch.undo()
    assert filled.read("things").equals(ROWS)
    assert filled.data_version("things") == "v1"


def test_a_damaged_manifest_is_named_with_the_fix(filled):
    with filled.writing() as connection:
        connection.execute("UPDATE curec_manifests SET manifest = '{'")
    with pytest.raises(ArtifactError, match='DROP TABLE "things"'):
        filled.manifest("things")
    with filled.writing() as connection:
        connection.execute('DROP TABLE "things"')
    assert filled.manifest("things") is None


def test_a_newer_warehouse_is_refused_and_left_alone(filled):
    with filled.writing() as connection:
        connection.execute("UPDATE curec_meta SET schema_version = ?", [SCHEMA_VERSION + 1])
    said = f"schema version {SCHEMA_VERSION + 1}, made by a newer CURec.*Upgrade"
    for use in (
        lambda: filled.read("things"),
        lambda: filled.manifest("things"),
        lambda: filled.write("things", ROWS.head(1), manifest(version="v2")),
    ):
        with pytest.raises(ArtifactError, match=said):
            use()
    with duckdb.connect(filled.path, read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchall() == [(3,)]


def test_a_file_that_is_no_warehouse_is_named(tmp_path):
    file = tmp_path / "w.duckdb"
    file.write_bytes(b"not a database" * 1000)
    with pytest.raises(ArtifactError, match=r"w\.duckdb cannot be opened.*move it away"):
        Warehouse(path=str(file)).read("things")
    assert file.read_bytes() == b"not a database" * 1000


HOLD = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
connection.close()
"""


@pytest.fixture
def hold():
    """Starts a process that holds the file open for some seconds."""
    started = []

    def start(path, seconds):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, path, str(seconds)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.fault("another process holds the warehouse")
@pytest.mark.parametrize("use", ["read", "write"])
def test_another_process_is_waited_for(filled, hold, use):
    hold(filled.path, 1.0)
    began = time.monotonic()
    if use == "read":
        assert filled.read("things").equals(ROWS)
    else:
        filled.write("things", ROWS.head(1), manifest(version="v2"))
        assert filled.data_version("things") == "v2"
    assert time.monotonic() - began > 0.5


def test_waiting_ends_with_an_error_that_says_why(filled, hold):
    impatient = Warehouse(path=filled.path, lock_timeout_seconds=0.2)
    hold(filled.path, 20)
    with pytest.raises(ArtifactError, match="still locked by another process after"):
        impatient.read("things")


def test_connections_are_closed_whatever_happens(filled):
    with pytest.raises(ZeroDivisionError), filled.reading():
        _ = 1 / 0
    with pytest.raises(ZeroDivisionError), filled.writing():
        _ = 1 / 0
    script = "import sys, duckdb; duckdb.connect(sys.argv[1]).execute('FROM things')"
    subprocess.run([sys.executable, "-c", script, filled.path], check=True)


def test_a_path_that_says_what_a_lock_says_is_no_lock(tmp_path):
    path = tmp_path / "Could not set lock on file" / "IO Error: Could not set lock on file.duckdb"
    path.parent.mkdir()
    path.write_bytes(b"nothing that DuckDB knows" * 1000)
    started = time.monotonic()
    with pytest.raises(ArtifactError, match="cannot be opened"):
        Warehouse(path=str(path)).read("things")
    assert time.monotonic() - started < 5


@pytest.mark.fault("full disk")
def test_a_full_disk_is_said_and_what_was_stored_stays(tmp_path):
    """A file system of its own that is really full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system here")
    try:
        small = Warehouse(path=str(disk / "w.duckdb"), lock_timeout_seconds=5)
        small.write("things", ROWS, manifest())
        noise = pl.DataFrame({"key": [os.urandom(3000).hex() for _ in range(3000)]})
        for _ in range(2):
            with pytest.raises(ArtifactError, match=r"could not be written.*Free disk space"):
                small.write("things", noise, manifest(version="v2"))
            assert small.read("things").equals(ROWS)
            assert small.data_version("things") == "v1"
        small.write("others", ROWS, manifest("others"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


WRITES_ONCE = """
import sys
import polars as pl
from tests.resources.storage.test_warehouse import Warehouse, manifest
Warehouse(path=sys.argv[1]).write("things", pl.DataFrame({"key": ["a"]}), manifest(rows=1))
"""


@pytest.mark.fault("SIGKILL in the first write of the warehouse")
def test_a_kill_in_the_midst_of_the_very_first_write_leaves_a_usable_warehouse(tmp_path):
    for attempt in range(3):
        path = tmp_path / f"{attempt}" / "w.duckdb"
        path.parent.mkdir()
        with subprocess.Popen([sys.executable, "-c", WRITES_ONCE, str(path)]) as writer:
            while not any(path.parent.iterdir()) and writer.poll() is None:
                pass
            writer.kill()
        killed = Warehouse(path=str(path), lock_timeout_seconds=5)
        assert killed.manifest("things") is None or killed.read("things").height == 1
        killed.write("things", ROWS, manifest())
        assert killed.read("things").equals(ROWS)
