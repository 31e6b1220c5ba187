"""The doctor: whatever is damaged is found, said in words, and can be restored as told."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.chaos.home import Home
from curec_assets.cli.app import main
from curec_assets.core.inputs import Inputs
from curec_assets.core.provenance import content_hash, digest
from curec_assets.core.recipe import Recipe, table
from curec_assets.lifecycle.doctor import of_copy, of_disk, of_models, of_modes, of_tables, repair
from curec_assets.lifecycle.findings import Finding, report
from resources.errors import ArtifactError
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore, hash_files
from resources.storage.warehouse import Warehouse
from resources.storage.warehouse_copy import keep_copy

ROWS = 3000


def events(_inputs: Inputs) -> pl.DataFrame:
    return TRUTH["events"]


def texts(_inputs: Inputs) -> pl.DataFrame:
    return TRUTH["texts"]


def never(_inputs: Inputs) -> pl.DataFrame:
    return pl.DataFrame()


RECIPES: list[Recipe] = [
    table(group="datasets", kinds={"duckdb"}, key=("key",))(function)
    for function in (events, texts, never)
]
TRUTH = {
    "events": pl.DataFrame(
        {
            "key": range(ROWS),
            "time": [1_000_000_007 * number % 86_400 for number in range(ROWS)],
            "vector": pl.Series(
                [[number / 7, -number] for number in range(ROWS)], dtype=pl.Array(pl.Float32, 2)
            ),
        }
    ),
    "texts": pl.DataFrame(
        {
            "key": range(ROWS),
            "text": [digest(number) * 3 for number in range(ROWS)],
            "names": [[digest(-number)[: number % 9]] * (number % 3) for number in range(ROWS)],
        }
    ),
}


def manifest(name: str, **values: Any) -> Manifest:
    known = {"asset": name, "fingerprint": "f", "code_version": "1"}
    return Manifest(**{**known, **values, "created_at": datetime.now(UTC)})


def fill(path: Path) -> Warehouse:
    warehouse = Warehouse(path=str(path), lock_timeout_seconds=5)
    for name, rows in TRUTH.items():
        version = content_hash(rows, key=["key"])
        warehouse.write(name, rows, manifest(name, data_version=version, row_count=rows.height))
    return warehouse


@pytest.fixture
def warehouse(home: Path) -> Warehouse:
    return fill(home / "w.duckdb")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Path(fill(tmp_path_factory.mktemp("w") / "w.duckdb").path).read_bytes()


def wrong(findings: Any) -> dict[str, Finding]:
    return {each.what: each for each in findings if not each.sound}


def flipped(stored: bytes, at: float, junk: bytes) -> bytes:
    start = int(at * (len(stored) - len(junk)))
    return stored[:start] + junk + stored[start + len(junk) :]


def cut(stored: bytes, at: float, junk: bytes) -> bytes:
    return stored[: int(at * len(stored))] + junk


@pytest.mark.fault("bytes of the warehouse change", tried=150)
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    damage=st.sampled_from([flipped, flipped, flipped, cut]),
    at=st.one_of(st.floats(0, 1), st.floats(0, 0.01)),
    junk=st.one_of(st.binary(min_size=1, max_size=64), st.just(bytes(5000))),
)
def test_what_is_read_is_the_truth_or_an_error_in_words_that_the_doctor_gives_too(
    stored: bytes,
    tmp_path: Path,
    damage: Callable[[bytes, float, bytes], bytes],
    at: float,
    junk: bytes,
) -> None:
    path = tmp_path / "damaged.duckdb"
    path.write_bytes(damage(stored, at, junk))
    warehouse = Warehouse(path=str(path), lock_timeout_seconds=1)
    said = wrong(of_tables(warehouse, RECIPES))
    for name, truth in TRUTH.items():
        try:
            assert warehouse.read(name).equals(truth)
        except ArtifactError as error:
            assert "backup" in str(error) or "materialise" in str(error)
            assert f"table {name}" in said
        else:
            assert f"table {name}" not in said
    try:
        warehouse.write("more", TRUTH["events"], manifest("more", data_version="v"))
    except ArtifactError as error:
        assert "backup" in str(error)
    else:
        assert warehouse.read("more").equals(TRUTH["events"])


def test_rows_that_are_gone_are_missed_by_every_read(warehouse: Warehouse) -> None:
    with warehouse.writing() as connection:
        connection.execute("DELETE FROM texts WHERE key = 7")
    with pytest.raises(ArtifactError, match=r"2999 rows, but its manifest says 3000.*DROP TABLE"):
        warehouse.read("texts", ["key"])
    assert list(wrong(of_tables(warehouse, RECIPES))) == ["table texts"]
    assert warehouse.read("events").equals(TRUTH["events"])


def test_a_value_that_was_changed_is_found_by_the_doctor(warehouse: Warehouse) -> None:
    assert {each.found for each in of_tables(warehouse, RECIPES)} == {
        "3000 rows, as its manifest says",
        "not made yet",
    }
    with warehouse.writing() as connection:
        connection.execute("UPDATE texts SET text = 'otherwise' WHERE key = 7")
    assert "changed from outside" in wrong(of_tables(warehouse, RECIPES))["table texts"].fix


def test_a_damaged_warehouse_is_restored_as_the_error_says(
    warehouse: Warehouse, stored: bytes
) -> None:
    assert wrong([of_copy(warehouse)])
    copy = keep_copy(warehouse)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert not wrong([of_copy(warehouse)])

    path = Path(warehouse.path)
    path.write_bytes(flipped(stored, 1.0, b"junk" * 50_000))
    with pytest.raises(ArtifactError, match=f"copy {copy}, the last good state, to its place"):
        warehouse.read("texts")
    with pytest.raises(ArtifactError):
        keep_copy(warehouse)  # what is damaged is not copied over what is good
    assert list(repair(path.parent, warehouse, list(of_tables(warehouse, RECIPES))))[1:] == []

    path.rename(path.with_suffix(".damaged"))
    shutil.copy(copy, path)
    assert not wrong(of_tables(warehouse, RECIPES))
    warehouse.write("texts", TRUTH["texts"], manifest("texts", data_version="v", row_count=ROWS))
    assert warehouse.data_version("texts") == "v"


def test_what_a_kill_left_beside_the_warehouse_is_swept(warehouse: Warehouse) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    folder = Path(warehouse.path).parent
    left = [f".w.duckdb.{gone.pid}", f".w.good.duckdb.{gone.pid}.wal"]
    others = [f".w.duckdb.{os.getppid()}", ".w.mine"]
    for name in (*left, *others):
        (folder / name).touch()
    keep_copy(warehouse)
    assert {path.name for path in folder.iterdir()} == {"w.duckdb", "w.good.duckdb", *others}


def test_a_damaged_copy_is_found(warehouse: Warehouse) -> None:
    copy = keep_copy(warehouse)
    copy.write_bytes(flipped(copy.read_bytes(), 1.0, b"junk" * 50_000))
    assert "damaged" in wrong([of_copy(warehouse)])["copy"].found
    keep_copy(warehouse)
    assert not wrong([of_copy(warehouse)])


@pytest.mark.fault("a byte of a model changes", tried=20)
@given(name=st.sampled_from(["weights.bin", "manifest.json"]), at=st.floats(0, 1))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_byte_of_a_model_that_changed_is_found(tmp_path: Path, name: str, at: float) -> None:
    shutil.rmtree(tmp_path / "models", ignore_errors=True)
    store = ModelStore(root=str(tmp_path / "models"))
    with store.writing("weights") as folder:
        (folder / "weights.bin").write_bytes(os.urandom(100))
        files = hash_files(folder)
        found = store.commit(folder, manifest("weights", data_version=digest(files), files=files))
    assert not wrong(of_models(store, ["weights", "never"]))
    file = found.path / name
    content = bytearray(file.read_bytes())
    content[int(at * (len(content) - 1))] ^= 0xFF  # no longer UTF-8, or another hash
    file.write_bytes(content)
    assert str(file) in wrong(of_models(store, ["weights", "never"]))["model weights"].fix


def test_what_others_can_read_is_found_and_closed(warehouse: Warehouse, home: Path) -> None:
    Path(warehouse.path).chmod(0o640)
    assert "w.duckdb" in wrong([of_modes(home)])["modes"].found or home.stat().st_mode & 0o077
    assert list(repair(home, warehouse, [of_modes(home)]))
    assert not wrong([of_modes(home)])
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(warehouse.path).stat().st_mode) == 0o600


def test_a_disk_without_room_is_told(warehouse: Warehouse, home: Path) -> None:
    assert not wrong([of_disk(home, warehouse)])
    with Path(warehouse.path).open("ab") as file:
        file.truncate(1 << 42)  # takes no room itself
    assert "free 8" in wrong([of_disk(home, warehouse)])["disk"].fix


def test_the_command_tells_and_fixes_and_its_exit_code_says_whether_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home.make(tmp_path / "home")
    for name in ("CUREC_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(name, home.environment[name])
    home.path.chmod(0o755)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "WRONG  modes" in said and "--fix" in said
    assert main(["doctor", "--fix"]) == 0
    assert "This home is sound." in capsys.readouterr().out
    (home.path / "dagster" / "dagster.yaml").unlink()
    assert main(["doctor"]) == 1
    assert "make setup" in capsys.readouterr().out


def test_a_report_names_each_fix_once() -> None:
    text = report([Finding("disk", "full", "free some"), Finding("runs", "none")])
    assert text.splitlines() == [
        "WRONG  disk  full",
        "ok     runs  none",
        "",
        "1 of 2 wrong",
        "",
        "disk: full",
        "    free some",
    ]
