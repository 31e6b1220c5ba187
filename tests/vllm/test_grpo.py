"""GRPO with TRL's colocated vLLM engine, as far as a CPU goes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from curec_assets.explanation.prompts import parse_reason
from resources.generation.vllm.engine import installed

if not installed():
    pytest.skip("vLLM is not installed: `make test-vllm` runs these", allow_module_level=True)

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1200)]

SCRIPT = Path(__file__).with_name("grpo_process.py")


def test_a_step_with_the_trainer_s_own_engine(smollm2: Path, tmp_path: Path) -> None:
    """The limit: vLLM's CPU build repacks its weights and cannot be given new ones afterwards."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(smollm2), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    (line,) = [text for text in done.stdout.splitlines() if text.startswith("RESULT ")]
    result = json.loads(line.removeprefix("RESULT "))
    texts = result["texts"]
    assert len(texts) == 8  # two groups of four
    assert len(set(texts)) > 4
    assert sum(parse_reason(text) is not None for text in texts) >= 6, "some may be cut short"
    assert result["changed"]
    # Both sides have the same weights: their probabilities of the same tokens must agree.
    ratio = result["step"]["sampling/importance_sampling_ratio/mean"]
    assert ratio == pytest.approx(1.0, abs=0.05)
    assert "weight_loader" in result["refused"], "weights can be sent now: train for real here"
