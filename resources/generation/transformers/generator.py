"""`TransformersFactory`: the generator that runs a `transformers` model, on CPU or GPU."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from resources.compute.accelerator import Accelerator
from resources.compute.memory import release
from resources.generation.chat_tokens import chat_tokens, require_fits
from resources.generation.protocol import (
    Completion,
    GeneratorOptions,
    Prompt,
    Sampling,
    TextGenerator,
)
from resources.generation.transformers.requests import Generated, Limits, Request
from resources.models.adapter import require_adapter_fits
from resources.models.checkpoint import BaseCheckpoint
from resources.pace import how_far

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 5.0


class TransformersFactory(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens generators that generate with `transformers`."""

    accelerator: dg.ResourceDependency[Accelerator]

    @contextmanager
    def open(
        self, base: BaseCheckpoint, adapter: Path | None, options: GeneratorOptions
    ) -> Iterator[TextGenerator]:
        """A generator with the base model and, merged into it, the adapter."""
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if adapter is not None:
            require_adapter_fits(base, adapter)
        accelerator = self.accelerator.resolve(options.dtype)
        tokenizer = AutoTokenizer.from_pretrained(
            base.path, trust_remote_code=base.trust_remote_code
        )
        model: Any = AutoModelForCausalLM.from_pretrained(
            base.path,
            dtype=getattr(torch, accelerator.dtype),
            trust_remote_code=base.trust_remote_code,
        )
        if adapter is not None:
            # Merged: the adapter's small products cost a fifth of decoding time on a CPU.
            model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
        generator = TransformersGenerator(
            model.to(accelerator.device).eval(),
            tokenizer,
            batch_size=options.batch_size,
            max_prompt_tokens=options.max_prompt_tokens,
        )
        try:
            yield generator
        finally:
            del model, generator
            release()


class TransformersGenerator:
    """A `transformers` model that continues chats; GRPO uses it on the model in training.

    The model is changed: another attention function and, on CPUs, other linear layers.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, batch_size: int, max_prompt_tokens: int
    ) -> None:
        import transformers

        from resources.generation.transformers.constrained_decoding import DecodingGrammars
        from resources.generation.transformers.packed_generation import PackedGenerator
        from resources.generation.transformers.packed_linear import can_pack, pack_linears

        self.engine = f"transformers {transformers.__version__}"
        self._tokenizer = tokenizer
        self._max_prompt_tokens = max_prompt_tokens
        if can_pack(model.device.type, str(model.dtype).removeprefix("torch.")):
            pack_linears(model)
        self._grammars = DecodingGrammars(tokenizer, model.config.vocab_size)
        self.generator = PackedGenerator(model, tokenizer, self._grammars, batch_size)

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """`sampling.samples` completions per prompt, in the order of the prompts.

        Raises `EngineError` for a prompt that is too long, and when not even one completion fits
        into the memory of the device.
        """
        done = dict(self.write_each(prompts, sampling))
        return [completion for index in range(len(prompts)) for completion in done[index]]

    def write_each(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> Iterator[tuple[int, list[Completion]]]:
        """The position of a prompt and its completions, as they come."""
        tokens = [
            require_fits(chat_tokens(self._tokenizer, prompt), prompt, self._max_prompt_tokens)
            for prompt in prompts
        ]
        requests = [
            Request(of_prompt, prompt.grammar, prompt.seed + sample, prompt.scale, prompt.open_end)
            for prompt, of_prompt in zip(prompts, tokens, strict=True)
            for sample in range(sampling.samples)
        ]
        limits = Limits(
            sampling.max_new_tokens,
            sampling.temperature,
            self._tokenizer.eos_token_id,
            sampling.stop,
            sampling.keep_allowed,
        )
        parts: dict[int, dict[int, Completion]] = {}
        started = told = time.monotonic()
        for number, generated in enumerate(self.generator.generate(requests, limits), 1):
            prompt, sample = divmod(generated.request, sampling.samples)
            of_prompt = parts.setdefault(prompt, {})
            of_prompt[sample] = self._completion(generated, requests[generated.request], sampling)
            if len(of_prompt) == sampling.samples:
                yield prompt, [of_prompt[sample] for sample in range(sampling.samples)]
                del parts[prompt]
            now = time.monotonic()
            if now - told > _SECONDS_BETWEEN_LINES or number == len(requests):
                told = now
                log.info("wrote %s", how_far(number, len(requests), now - started, "text"))

    def _completion(self, generated: Generated, request: Request, sampling: Sampling) -> Completion:
        text = self._tokenizer.decode(generated.tokens, skip_special_tokens=True)
        allowed: tuple[tuple[int, ...], ...] = ()
        if sampling.keep_allowed:
            allowed = self._grammars.allowed(request.grammar, generated.tokens)
        return Completion(
            text=_before_first(text, sampling.stop),
            token_ids=generated.tokens,
            constrained=tuple(i < generated.constrained for i in range(len(generated.tokens))),
            finished=generated.finished,
            scale=generated.scale,
            prompt_ids=request.tokens,
            logprobs=generated.logprobs,
            allowed=allowed,
        )

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of the prompt, chat template included."""
        return len(chat_tokens(self._tokenizer, prompt))


def _before_first(text: str, stops: Sequence[str]) -> str:
    """`text` up to the first of `stops` that occurs in it."""
    return text[: min((found for stop in stops if (found := text.find(stop)) >= 0), default=None)]
