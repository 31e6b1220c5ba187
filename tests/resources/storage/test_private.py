"""A home is closed to other users, whatever its files were before, and nothing else is touched."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.storage.private import keep_private, open_to_others

KEPT = ("models", "warehouse*")
FILES = ["warehouse.duckdb", "warehouse.duckdb.wal", "models/a/b/weights", "models/.work/c"]

modes = st.integers(0, 0o777).map(lambda mode: mode | stat.S_IRUSR)


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@given(of_files=st.lists(modes, min_size=4, max_size=4), of_folders=modes)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_only_the_owner_keeps_what_he_had(
    tmp_path_factory: pytest.TempPathFactory, of_files: list[int], of_folders: int
) -> None:
    os.umask(0o022)
    home = tmp_path_factory.mktemp("homes") / "home"
    files = [home / name for name in FILES]
    for file, allowed in zip(files, of_files, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
        file.chmod(allowed)
    folders = [home, home / "models", home / "models/a"]
    for folder in folders:
        folder.chmod(of_folders | stat.S_IRWXU)
    keep_private(home, KEPT)
    assert [mode(file) for file in files] == [allowed & stat.S_IRWXU for allowed in of_files]
    assert {mode(folder) for folder in folders} == {stat.S_IRWXU}
    assert list(open_to_others(home, KEPT)) == []


def test_what_is_made_afterwards_is_closed_from_the_start(tmp_path: Path) -> None:
    keep_private(tmp_path / "home", KEPT)
    assert not (tmp_path / "home").exists(), "made by whoever keeps something"
    made = tmp_path / "home" / "models"
    made.mkdir(parents=True)
    (made / "file").touch()
    assert [mode(path) for path in (made.parent, made, made / "file")] == [0o700, 0o700, 0o600]


def test_what_is_not_ours_stays_as_it_is(tmp_path: Path) -> None:
    outside, home = tmp_path / "outside", tmp_path / "home"
    (home / "notes").mkdir(parents=True)
    (home / "models").mkdir()
    (home / "notes" / "note").touch()
    outside.mkdir()
    (outside / "shared").touch()
    (home / "models" / "link").symlink_to(outside)
    (home / "warehouse.duckdb").symlink_to(outside / "shared")
    keep_private(home, KEPT)
    for path in (outside, home / "notes"):
        assert mode(path) == 0o755
    for path in (outside / "shared", home / "notes" / "note"):
        assert mode(path) == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_cannot_be_closed_is_said(caplog: pytest.LogCaptureFixture) -> None:
    nobody = 65534
    with TemporaryDirectory() as folder:  # pytest's own are closed to `nobody`
        Path(folder).chmod(0o755)
        home = Path(folder, "home")
        (home / "models").mkdir(parents=True)
        os.chown(home, nobody, nobody)
        os.seteuid(nobody)
        try:
            keep_private(home, KEPT)
        finally:
            os.seteuid(0)
        assert (mode(home), mode(home / "models")) == (0o700, 0o755)
    (said,) = caplog.messages
    assert said.startswith("1 files or folders") and str(home / "models") in said
