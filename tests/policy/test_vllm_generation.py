"""TRL accepts what it is told about vLLM. That it runs is shown in tests/vllm/test_grpo.py."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from curec_assets.alignment.training import trainer_defaults
from curec_assets.policy.vllm_generation import VllmMode, vllm_arguments
from resources.compute.accelerator import ResolvedAccelerator
from resources.errors import ConfigError

CPU = ResolvedAccelerator("cpu", "float32", 1)
GPU = ResolvedAccelerator("cuda", "bfloat16", 1)


def arguments(mode: VllmMode, accelerator: ResolvedAccelerator) -> dict[str, Any]:
    return vllm_arguments(mode, accelerator, max_tokens=608, server_url="http://host:8000/v1")


@pytest.mark.parametrize(
    ("mode", "accelerator"), [("off", CPU), ("colocate", CPU), ("colocate", GPU), ("server", GPU)]
)
def test_trl_accepts_the_arguments(
    mode: VllmMode, accelerator: ResolvedAccelerator, tmp_path: Path
) -> None:
    from trl import GRPOConfig

    chosen = arguments(mode, accelerator)
    config = GRPOConfig(
        **trainer_defaults(tmp_path, 1, CPU),  # there is no GPU here to be accepted
        per_device_train_batch_size=4,
        num_generations=4,
        **chosen,
    )
    assert {name: getattr(config, name) for name in chosen} == chosen
    assert config.use_vllm == (mode != "off")


def test_a_colocated_engine_sleeps_where_it_can() -> None:
    assert arguments("colocate", GPU)["vllm_enable_sleep_mode"]
    assert not arguments("colocate", CPU)["vllm_enable_sleep_mode"]


def test_the_server_s_root_is_named() -> None:
    assert arguments("server", GPU)["vllm_server_base_url"] == "http://host:8000"


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a GPU"):
        arguments("server", CPU)
    with pytest.raises(ConfigError, match=r"server\.url is empty"):
        vllm_arguments("server", GPU, max_tokens=608)


def test_trl_still_has_what_the_colocated_writer_uses() -> None:
    """Its engine, its way to send weights, and the note that sleep has dropped them."""
    from trl.generation.vllm_generation import VLLMGeneration

    code = inspect.getsource(VLLMGeneration)
    for used in ("self.llm = LLM(", "def sync_weights(", "self._llm_weights_sleeping = True"):
        assert used in code, used
