"""Where vLLM is not installed; the rest is in tests/vllm."""

from pathlib import Path

import pytest

from resources.compute.accelerator import Accelerator
from resources.errors import EngineError
from resources.generation.vllm.engine import EngineSize, installed, open_engine
from resources.models.checkpoint import BaseCheckpoint


@pytest.mark.skipif(installed(), reason="vLLM is installed here")
def test_without_vllm_the_extra_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(EngineError, match=r"curec\[gpu\]"),
        open_engine(BaseCheckpoint(tmp_path), None, Accelerator().resolve(), EngineSize(4, 64)),
    ):
        pass
