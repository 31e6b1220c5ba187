"""Two of the same command at once on one home."""

import shutil
import subprocess
import sys

import duckdb
import pytest

from benchmarks.chaos.home import Home, Undisturbed
from benchmarks.harness import ROOT

pytestmark = [pytest.mark.multiprocess, pytest.mark.timeout(300)]
LOST = ("interactions", "event_evidence")
DEMO = (sys.executable, "-m", "curec_assets.cli", "demo")


@pytest.mark.fault("two `curec demo` at once", tried=2)
def test_both_end_well_and_make_what_one_would(
    filled_home: Home, undisturbed_run: Undisturbed
) -> None:
    """Both have to make the same tables and the same model."""
    with duckdb.connect(filled_home.path / "warehouse.duckdb") as warehouse:
        for table in LOST:
            warehouse.execute(f'DROP TABLE "{table}"')
    shutil.rmtree(filled_home.path / "models" / "evidence_model")
    both = [
        subprocess.Popen(
            DEMO,
            cwd=ROOT,
            env=filled_home.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=280)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n---\n".join(said)
    assert all("recommendations" in each for each in said)
    assert undisturbed_run.differences(filled_home) == []
