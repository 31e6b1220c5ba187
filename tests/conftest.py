"""What every test gets: no settings of the machine, and a home of its own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from filelock import FileLock
from hypothesis import settings

from benchmarks.chaos.filling import home_of, undisturbed
from benchmarks.chaos.home import Home, Undisturbed

pytest_plugins = ("tests.support.faults",)

# Test processes run beside each other, one a core: more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Two shared cores: how long an example takes says nothing about the code, and half as many as usual
# leave CI its 20 minutes; a new law is first tried with more (`--hypothesis-profile=default`).
settings.register_profile("curec", deadline=None, max_examples=50)
settings.load_profile("curec")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="record the present graph")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first, so that no process waits for another at the end.

    Of them the kills first: they make what others compare with (`undisturbed_run`).
    """
    long = ("e2e", "multiprocess", "graph")
    items.sort(
        key=lambda item: (
            item.path.name != "test_killed_run.py",
            not any(item.get_closest_marker(name) for name in long),
        )
    )


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUREC_PROFILE", "CUREC_HOME", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def _undisturbed_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    base = tmp_path_factory.getbasetemp()
    return (base if worker_id == "master" else base.parent) / "undisturbed"


@pytest.fixture(scope="session")
def undisturbed_run(_undisturbed_folder: Path) -> Undisturbed:
    """What `curec demo` makes of an empty home with `smoke`; one run for all test processes."""
    with FileLock(_undisturbed_folder.with_suffix(".lock")):
        return undisturbed(_undisturbed_folder)


@pytest.fixture
def filled_home(undisturbed_run: Undisturbed, _undisturbed_folder: Path, tmp_path: Path) -> Home:
    """A copy of the home that it made."""
    return Home(shutil.copytree(home_of(_undisturbed_folder), tmp_path / "filled"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty CURec home."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral
