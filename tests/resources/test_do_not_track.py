"""No library that is used here tells its makers of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# What TRL does at the beginning of every training, but where the variable CI is set.
TRAINS = """
import resources
from huggingface_hub.utils import _telemetry
_telemetry.send_telemetry("trl/SFTTrainer", library_name="trl", library_version="1")
print(_telemetry._TELEMETRY_THREAD is not None)
"""


@pytest.mark.parametrize(("wanted", "told"), [({}, "False"), ({"DO_NOT_TRACK": "0"}, "True")])
def test_a_training_is_told_to_nobody_unless_that_is_wanted(
    wanted: dict[str, str], told: str
) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "DO_NOT_TRACK")}
    done = subprocess.run(
        [sys.executable, "-c", TRAINS],
        cwd=Path(__file__).parents[2],
        env={**environment, "HF_ENDPOINT": "http://127.0.0.1:9", **wanted},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == told
