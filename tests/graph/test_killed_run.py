"""Runs that are killed, in the middle of generation or anywhere, go on to the same content."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import dagster as dg
import polars as pl
import pytest

from curec_assets.definitions import build_definitions, default_resources, recipes

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]

SCRIPT = """
import sys
from pathlib import Path
import dagster as dg
from curec_assets.definitions import build_definitions
definitions = build_definitions(profile="smoke", home=Path(sys.argv[1]))
job = definitions.resolve_job_def("everything")
with dg.DagsterInstance.ephemeral() as instance:
    job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("generated_reasons")])
"""


def shards(home: Path) -> list[Path]:
    """Shards of the finished walk."""
    return sorted((home / "models" / "generated_reasons").glob("[!.]*/*.parquet"))


def unfinished(home: Path) -> list[Path]:
    """Shards of a walk that was interrupted."""
    return sorted((home / "models" / "generated_reasons").glob(".*.work/*.parquet"))


EVERYTHING = """
import sys
from pathlib import Path
import dagster as dg
from curec_assets.definitions import build_definitions
definitions = build_definitions(profile="smoke", home=Path(sys.argv[1]))
job = definitions.resolve_job_def("everything")
with dg.DagsterInstance.ephemeral() as instance:
    print("begins", flush=True)
    job.execute_in_process(instance=instance)
"""
KILLS = 10


def data_versions(home: Path) -> dict[str, str]:
    """Asset → content hash of what is stored."""
    resources = default_resources("smoke", home)
    return {
        recipe.name: (
            resources["warehouse"].existing_manifest(recipe.name)
            if recipe.writes == "table"
            else resources["model_store"].current(recipe.name).manifest
        ).data_version
        for recipe in recipes()
    }


def run_everything(home: Path, *, killed_after: float | None = None) -> bool:
    """Whether it came to its end; `killed_after`: seconds from its beginning."""
    said = home.with_suffix(".log")
    with (
        said.open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", EVERYTHING, str(home)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout and process.stdout.readline() == "begins\n"
        try:
            process.wait(killed_after)
        except subprocess.TimeoutExpired:
            process.kill()
    if process.returncode not in (0, -signal.SIGKILL):
        pytest.fail(f"it ended with {process.returncode}: {said.read_text()[-4000:]}")
    return process.returncode == 0


@pytest.mark.timeout(900)
def test_ten_kills_anywhere_end_in_the_same_content(tmp_path: Path) -> None:
    undisturbed, home = tmp_path / "undisturbed", tmp_path / "killed"
    assert run_everything(undisturbed)
    random = Random(20260101)
    kills = 0
    while kills < KILLS and not run_everything(home, killed_after=random.uniform(0.2, 4.0)):
        kills += 1
    assert kills >= 3, f"a machine so fast needs earlier kills: it was over after {kills}"
    assert run_everything(home)
    assert data_versions(home) == data_versions(undisturbed)
    left = [path for path in home.rglob("*") if ".work" in path.name or ".writing" in path.name]
    assert left == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which everything up to the reasons was made without interruption."""
    home = tmp_path_factory.mktemp("whole")
    definitions = build_definitions(profile="smoke", home=home)
    upstream = dg.AssetSelection.assets("generated_reasons").upstream()
    with dg.DagsterInstance.ephemeral() as instance:
        keys = upstream.resolve(definitions.resolve_asset_graph())
        job = definitions.resolve_job_def("everything")
        assert job.execute_in_process(instance=instance, asset_selection=list(keys)).success
    return home


def test_a_killed_generation_ends_in_the_same_reasons(whole: Path, tmp_path: Path) -> None:
    home = tmp_path / "killed"
    shutil.copytree(whole, home)
    shutil.rmtree(home / "models" / "generated_reasons")
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(home)])
    try:
        while not unfinished(home):
            assert process.poll() is None, "it ended before a round was written"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert unfinished(home)
    assert not shards(home), "the walk was over before it could be killed"

    subprocess.run([sys.executable, "-c", SCRIPT, str(home)], check=True, capture_output=True)

    first, second = (pl.concat(map(pl.read_parquet, shards(folder))) for folder in (whole, home))
    assert first.equals(second)
    assert [path.name for path in shards(whole)] == [path.name for path in shards(home)]
