"""GRPO whose reasons are written by vLLM: what TRL is told, and the generator for our rollout.

TRL starts the engine, gives it the weights of every step, and puts it to sleep while it trains. Our
`Rollout` stays: its prompts, grammars and seeds go to that same engine through `VllmGenerator`.

*colocate*: the engine shares the GPU with the training; its weights and cache are dropped while it
sleeps. *server*: a `vllm serve` on other GPUs, to which TRL sends the weights; the writer is then a
`ServerFactory`. TRL sends them over NCCL, and sleep mode needs a GPU: on a CPU there is only
*colocate* without sleep.
"""

from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from resources.compute.accelerator import ResolvedAccelerator
from resources.errors import ConfigError
from resources.generation.protocol import Completion, Prompt, Sampling
from resources.generation.vllm.generator import VllmGenerator

VllmMode = Literal["off", "colocate", "server"]


def vllm_arguments(
    mode: VllmMode,
    accelerator: ResolvedAccelerator,
    *,
    max_tokens: int,
    gpu_memory_utilization: float = 0.3,
    server_url: str = "",
) -> dict[str, Any]:
    """Arguments of `GRPOConfig`.

    `max_tokens`: longest prompt and completion together. `gpu_memory_utilization`: share of the
    GPU's memory that a colocated engine takes while it is awake. `server_url`: OpenAI address of
    the server, such as `http://host:8000/v1`. Raises `ConfigError`.
    """
    if mode == "off":
        return {}
    if mode == "colocate":
        return {
            "use_vllm": True,
            "vllm_mode": "colocate",
            "vllm_enable_sleep_mode": accelerator.device != "cpu",
            "vllm_gpu_memory_utilization": gpu_memory_utilization,
            "vllm_max_model_length": max_tokens,
            # For the engine's other arithmetic: reasons are weighted by their probability in
            # training over that in vLLM, as TRL's defaults have it.
            "vllm_importance_sampling_correction": True,
        }
    if accelerator.device == "cpu":
        raise ConfigError(
            "policy.vllm is 'server' on a CPU, but TRL sends weights to a server over NCCL, which "
            "needs a GPU; set policy.vllm to 'off' or 'colocate'"
        )
    if not server_url:
        raise ConfigError(
            "policy.vllm is 'server' but server.url is empty; name the address of `vllm serve`"
        )
    address = urlsplit(server_url)
    return {
        "use_vllm": True,
        "vllm_mode": "server",
        "vllm_server_base_url": f"{address.scheme}://{address.netloc}",
        # A server's answers carry no probabilities of the tokens for our rollout.
        "vllm_importance_sampling_correction": False,
    }


class ColocatedGenerator:
    """Gives `Rollout` the trainer's own engine, awake while it writes and asleep afterwards."""

    def __init__(self, tokenizer: Any, *, max_prompt_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._max_prompt_tokens = max_prompt_tokens
        self._generation: Any = None
        self._writer: VllmGenerator | None = None
        self.engine = "vllm"

    def __call__(self, trainer: Any) -> "ColocatedGenerator":
        """The generator; TRL has just given its engine the weights of this step."""
        if self._writer is None:
            self._generation = trainer.vllm_generation
            self._writer = VllmGenerator(
                self._generation.llm,
                self._tokenizer,
                self._max_prompt_tokens,
            )
            self.engine = self._writer.engine
        return self

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """`sampling.samples` completions per prompt, with their log-probabilities."""
        if not self._generation.enable_sleep_mode:
            return self._loaded().write(prompts, sampling)
        # What TRL does around its own generation, which a rollout function takes the place of:
        # sleep drops the weights, so without a new step they have to be sent again.
        if self._generation._llm_weights_sleeping:
            self._generation.sync_weights()
        self._generation.llm.wake_up(tags=["kv_cache"])
        try:
            return self._loaded().write(prompts, sampling)
        finally:
            self._generation.llm.sleep(level=2)
            self._generation._llm_weights_sleeping = True

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of the prompt, chat template included."""
        return self._loaded().prompt_tokens(prompt)

    def _loaded(self) -> VllmGenerator:
        if self._writer is None:
            raise RuntimeError("no trainer yet; call the writer with a trainer first")
        return self._writer
