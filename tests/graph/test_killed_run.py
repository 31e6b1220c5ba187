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

from benchmarks.chaos.filling import fill, undisturbed
from benchmarks.chaos.home import Home
from benchmarks.chaos.plan import Kill
from curec_assets.definitions import build_definitions

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


@pytest.mark.timeout(900)
def test_ten_kills_anywhere_end_in_the_same_content(tmp_path: Path) -> None:
    reference = undisturbed(tmp_path / "work")
    random = Random(20260101)
    steps = list(reference.seconds)
    faults = [*random.choices(["process", "group"], k=9), "parent"]
    kills = [
        Kill(fault, step, random.random())
        for fault, step in zip(
            faults, sorted(random.sample(steps, 10), key=steps.index), strict=True
        )
    ]
    filled = fill(Home.make(tmp_path / "killed"), kills, reference)
    assert filled is not None
    assert filled.problems == [], (tmp_path / "killed.log").read_text()[-4000:]
    assert [kill["target"] for kill in filled.kills] == [kill.target for kill in kills]
    assert len({step for kill in filled.kills for step in kill["hit"]}) >= 5, filled.kills

    home = Home(tmp_path / "killed")
    with home.instance() as instance:
        assert {run.tags["curec/why"] for run in instance.get_runs()} == {"curec demo"}

    # The judge can say no.
    [journal] = home.path.rglob("completions.jsonl")
    with journal.open("ab") as file:
        file.write(journal.read_bytes().splitlines(keepends=True)[0])
    home.path.joinpath("models", "reward_model", ".f.work").mkdir()
    assert reference.differences(home) == [
        "models/reward_model/.f.work is left",
        "1 completions were written twice",
    ]


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
