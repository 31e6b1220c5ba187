"""vLLM's offline engine: opened with what this machine has, and closed for certain.

The engine runs in processes of its own (vLLM's default): their end returns the memory for certain,
and its settings of threads stay with them. vLLM is not imported before an engine is opened.
"""

import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.compute.accelerator import ResolvedAccelerator
from resources.errors import EngineError
from resources.generation.vllm.processes import (
    close,
    environment,
    interruptible,
    killed_with_us,
    notice_death,
)
from resources.models.checkpoint import BaseCheckpoint

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # the values of vLLM's `max_lora_rank`
_CPU_BLOCK = 32  # tokens: the smallest that vLLM's attention on CPUs takes; its default is 128
_CPU_MEMORY_SHARE = 0.5  # of what is available; the rest is for weights and other processes
_CPU_BATCHES = 2  # batches that the cache holds: one under way, and prefixes of the one before


@dataclass(frozen=True)
class EngineSize:
    """How much is generated at once."""

    sequences: int
    """Completions under way at once."""
    tokens: int
    """Longest prompt and completion together."""
    gpu_memory_utilization: float = 0.9
    """Share of a GPU's memory that the engine may take; no matter on a CPU."""


def installed() -> bool:
    """Whether vLLM is there, found out without importing it."""
    return importlib.util.find_spec("vllm") is not None


@contextmanager
def open_engine(
    base: BaseCheckpoint, adapter: Path | None, accelerator: ResolvedAccelerator, size: EngineSize
) -> Iterator[Any]:
    """A `vllm.LLM` on `base`, ready for LoRA adapters of the rank of `adapter`.

    Its processes have ended, and the environment is as before, when the block is left in any way.
    Raises `EngineError` when vLLM is missing, is not built for the device, or cannot start.
    """
    vllm = _import_vllm(accelerator)
    from vllm.exceptions import VLLMError

    settings: dict[str, Any] = {
        "model": str(base.path),
        "trust_remote_code": base.trust_remote_code,
        "dtype": accelerator.dtype,
        "max_model_len": size.tokens,
        "max_num_seqs": size.sequences,
        "gpu_memory_utilization": size.gpu_memory_utilization,
        "enable_prefix_caching": True,
        "generation_config": "vllm",  # only our own sampling and the tokenizer's end of turn
        "structured_outputs_config": {"backend": "xgrammar"},
        "disable_log_stats": False,  # the prefix cache's hits
        "seed": 0,
    }
    if adapter is not None:
        settings |= {"enable_lora": True, "max_lora_rank": _lora_rank(adapter), "max_loras": 1}
    variables = {
        **_quietly(),
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork would take the threads' locks with it
        "VLLM_NO_USAGE_STATS": "1",
    }
    if accelerator.device == "cpu":
        # Compiling the model takes longer than it saves here, and vLLM does not do it with LoRA.
        settings |= {"enforce_eager": True, "block_size": _CPU_BLOCK}
        settings["kv_cache_memory_bytes"] = _cpu_cache_bytes(base, accelerator.dtype, size)
        variables |= _cpu_threads()
    try:
        with environment(variables), interruptible():
            llm = vllm.LLM(**settings)
    except (VLLMError, RuntimeError, ValueError) as error:
        raise EngineError(
            f"vLLM could not load {base.path} on {accelerator.device} in {accelerator.dtype}: "
            f"{error}. What it says above names the cause; for want of memory lower "
            "language_model.batch_size or max_prompt_tokens (on a GPU also "
            "gpu_memory_utilization), or set language_model.engine to 'transformers'"
        ) from error
    notice_death(llm.llm_engine.engine_core)
    with killed_with_us(llm.llm_engine.engine_core):
        try:
            yield llm
        finally:
            close(llm.llm_engine.engine_core)


def _import_vllm(accelerator: ResolvedAccelerator) -> Any:
    if not installed():
        raise EngineError(
            "language_model.engine is 'vllm', but vLLM is not installed; install it with "
            "`pip install 'curec[gpu]'` (on a CPU: `make test-vllm` shows how), or set the engine "
            "to 'auto' or 'transformers'"
        )
    with environment(_quietly()):  # importing sets variables, too
        import vllm
        from vllm.platforms import current_platform
    if current_platform.device_type != accelerator.device:
        raise EngineError(
            f"this build of vLLM runs on {current_platform.device_type or 'no device here'}, but "
            f"accelerator.device is {accelerator.device!r}; install vLLM for that, change "
            "accelerator.device, or set language_model.engine to 'transformers'"
        )
    return vllm


def _quietly() -> dict[str, str]:
    """Warnings and errors only, unless asked otherwise: vLLM says a hundred lines at its start."""
    name = "VLLM_LOGGING_LEVEL"
    return {name: os.environ.get(name, "WARNING")}


def _lora_rank(adapter: Path) -> int:
    """The smallest rank that vLLM offers and that holds every layer of the adapter."""
    try:
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        rank = max(config["r"], *config.get("rank_pattern", {}).values(), 1)
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(
            f"adapter {adapter} has no readable adapter_config.json with a rank `r` ({error}); "
            "materialise the asset that made it again"
        ) from error
    for offered in _RANKS:
        if rank <= offered:
            return offered
    raise EngineError(
        f"adapter {adapter} has LoRA rank {rank}, and vLLM takes at most {_RANKS[-1]}; train with "
        "a lower alignment.lora_rank, or set language_model.engine to 'transformers'"
    )


def _cpu_cache_bytes(base: BaseCheckpoint, dtype: str, size: EngineSize) -> int:
    """Bytes for keys and values: what the batches need, or what the memory allows."""
    import psutil

    token = _token_bytes(base, dtype)
    wanted = token * size.tokens * size.sequences * _CPU_BATCHES
    least = token * (size.tokens + _CPU_BLOCK)
    available = psutil.virtual_memory().available
    allowed = int(available * _CPU_MEMORY_SHARE)
    if allowed < least:
        raise EngineError(
            f"keys and values of one text of {size.tokens} tokens take {least >> 20} MiB, and "
            f"{allowed >> 20} MiB (half of what is available) are there; free memory, or lower "
            "language_model.max_prompt_tokens"
        )
    return max(least, min(wanted, allowed))


def _token_bytes(base: BaseCheckpoint, dtype: str) -> int:
    """Bytes of one token's keys and values in all layers."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(
        base.path, trust_remote_code=base.trust_remote_code
    ).get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    number = {"float32": 4, "bfloat16": 2}[dtype]
    return int(2 * config.num_hidden_layers * heads * width * number)


def _cpu_threads() -> dict[str, str]:
    """As many threads as this process may use, bound to no core, and asleep while they wait.

    vLLM's own choice leaves one core out and binds the others, whoever else is using them.
    """
    import torch

    return {
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
