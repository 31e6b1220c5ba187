"""What is freed is given back at once: a step's peak is what it needs, not what it once needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_FREES = """
import curec_assets
import polars as pl

def resident():
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * 4096 / 1e6

columns = [pl.int_range(100_000, eager=True) for _ in range(200)]  # 160 MB, in small pieces
held = resident()
del columns
print(held - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("wanted", "least", "most"),
    [({}, 140, 170), ({"_RJEM_MALLOC_CONF": "dirty_decay_ms:60000"}, -1, 40)],
)
def test_freed_columns_are_given_back_unless_something_else_is_wanted(
    wanted: dict[str, str], least: float, most: float
) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "_RJEM_MALLOC_CONF"}
    done = subprocess.run(
        [sys.executable, "-c", _FREES],
        cwd=Path(__file__).parents[1],
        env={**environment, **wanted},
        capture_output=True,
        text=True,
        check=True,
    )
    assert least <= float(done.stdout) <= most
