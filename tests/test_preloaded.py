"""A step process finds loaded what it needs before its own work begins, and no more than that."""

import subprocess
import sys
from pathlib import Path

import pytest

BEGINS_A_STEP = """
import sys
from curec_assets import preloaded
before = set(sys.modules)
import dagster as dg
from curec_assets.definitions import build_definitions
with dg.DagsterInstance.local_temp(sys.argv[1]) as instance:
    build_definitions(profile="smoke").resolve_job_def("everything")
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new & {"alembic", "curec_assets", "duckdb", "mako", "resources", "sqlalchemy"}))
print(*sorted({"peft", "transformers", "trl"} & set(sys.modules)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork server")
def test_a_step_loads_no_storage_and_no_stage_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGINS_A_STEP, str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded_again, may_ask_for_a_gpu = done.stdout.splitlines()
    assert loaded_again == ""
    assert may_ask_for_a_gpu == ""
