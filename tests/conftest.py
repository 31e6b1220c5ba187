"""What every test gets: no settings of the machine, and a home of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import settings

# Test processes run beside each other, one a core: more threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Two shared cores: how long an example takes says nothing about the code.
settings.register_profile("curec", deadline=None)
settings.load_profile("curec")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="record the present graph")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first, so that no process waits for another at the end."""
    long = ("e2e", "multiprocess", "graph")
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in long))


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUREC_PROFILE", "CUREC_HOME", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)


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
