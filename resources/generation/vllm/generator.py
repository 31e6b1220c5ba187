"""`VllmFactory`: the generator that runs on vLLM's offline engine."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from resources.compute.accelerator import Accelerator
from resources.errors import EngineError
from resources.generation.chat_tokens import chat_tokens, require_fits
from resources.generation.grammar_compiler import GrammarCompiler
from resources.generation.grammar_tail import (
    ConstrainedPart,
    constrained_part,
    tokens_reaching,
    with_free_tail,
)
from resources.generation.protocol import (
    Completion,
    GeneratorOptions,
    Prompt,
    Sampling,
    TextGenerator,
)
from resources.generation.scale import TokenTexts
from resources.generation.vllm.engine import EngineSize, open_engine
from resources.models.adapter import require_adapter_fits
from resources.models.checkpoint import BaseCheckpoint
from resources.pace import how_far

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 5.0


class VllmFactory(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens generators that generate with vLLM, in processes of its own."""

    accelerator: dg.ResourceDependency[Accelerator]
    gpu_memory_utilization: float = Field(
        0.85,
        gt=0.0,
        le=1.0,
        description="Share of the GPU's memory that the engine takes for weights, keys and values; "
        "what else runs on the GPU needs the rest.",
    )

    @contextmanager
    def open(
        self, base: BaseCheckpoint, adapter: Path | None, options: GeneratorOptions
    ) -> Iterator[TextGenerator]:
        """A generator with the base model and, beside it (not merged), the adapter."""
        from transformers import AutoTokenizer

        size = EngineSize(
            options.batch_size,
            options.max_prompt_tokens + options.max_new_tokens,
            self.gpu_memory_utilization,
        )
        if adapter is not None:
            require_adapter_fits(base, adapter)
        tokenizer = AutoTokenizer.from_pretrained(
            base.path, trust_remote_code=base.trust_remote_code
        )
        with open_engine(base, adapter, self.accelerator.resolve(options.dtype), size) as llm:
            yield VllmGenerator(llm, tokenizer, options.max_prompt_tokens, adapter)


class VllmGenerator:
    """A running `vllm.LLM` that continues chats; GRPO uses it on the trainer's own engine."""

    def __init__(
        self,
        llm: Any,
        tokenizer: Any,
        max_prompt_tokens: int,
        adapter: Path | None = None,
    ) -> None:
        import vllm
        from vllm.lora.request import LoRARequest

        self.engine = f"vllm {vllm.__version__}"
        self.llm = llm
        self._tokenizer = tokenizer
        self._max_prompt_tokens = max_prompt_tokens
        self._adapter = LoRARequest("policy", 1, str(adapter)) if adapter is not None else None
        self._texts = TokenTexts(tokenizer)
        self._grammars = GrammarCompiler(tokenizer, len(tokenizer))

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of the prompt, chat template included."""
        return len(chat_tokens(self._tokenizer, prompt))

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """`sampling.samples` completions per prompt, in the order of the prompts.

        Raises `EngineError` for a prompt that is too long and when the engine fails.
        """
        done = dict(self.write_each(prompts, sampling))
        return [completion for index in range(len(prompts)) for completion in done[index]]

    def write_each(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> Iterator[tuple[int, list[Completion]]]:
        """The position of a prompt and its completions, as they come.

        All prompts are handed to the engine at once, sorted by their tokens, so that those with
        the same beginning meet it in the prefix cache.
        """
        if not prompts:
            return
        encoded = [self._tokens(prompt, sampling) for prompt in prompts]
        order = sorted(range(len(prompts)), key=encoded.__getitem__)
        outputs = self._generate(
            [{"prompt_token_ids": list(encoded[index])} for index in order],
            [self._parameters(prompts[index], sampling) for index in order],
        )
        started = told = time.monotonic()
        for number, (position, output) in enumerate(outputs, 1):
            index = order[position]
            yield index, self._completions(prompts[index], encoded[index], output, sampling)
            now = time.monotonic()
            if now - told > _SECONDS_BETWEEN_LINES or number == len(prompts):
                told = now
                log.info("wrote for %s", how_far(number, len(prompts), now - started, "prompt"))

    def prefix_cache(self) -> tuple[int, int]:
        """Prompt tokens that were found in the prefix cache, and those that were looked up."""
        counts = {
            metric.name: metric.value
            for metric in self.llm.get_metrics()
            if "prefix" in metric.name
        }
        return counts["vllm:prefix_cache_hits"], counts["vllm:prefix_cache_queries"]

    def _tokens(self, prompt: Prompt, sampling: Sampling) -> tuple[int, ...]:
        tokens = chat_tokens(self._tokenizer, prompt)
        require_fits(tokens, prompt, self._max_prompt_tokens)
        room = self.llm.model_config.max_model_len
        if len(tokens) + sampling.max_new_tokens > room:
            raise EngineError(
                f"a prompt of {len(tokens)} tokens with a completion of {sampling.max_new_tokens} "
                f"is longer than the {room} that vLLM was opened for; raise "
                "language_model.max_new_tokens"
            )
        return tokens

    def _parameters(self, prompt: Prompt, sampling: Sampling) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        grammar: dict[str, Any] = {"logprobs": 0} if sampling.keep_allowed else {}
        if prompt.grammar:
            grammar = {
                "structured_outputs": StructuredOutputsParams(
                    grammar=with_free_tail(prompt.grammar)
                ),
                "flat_logprobs": True,
                **(
                    {"logprob_token_ids": sorted(self._texts.scale(prompt.scale).deciding)}
                    if prompt.scale
                    else {"logprobs": 0}
                ),
            }
        return SamplingParams(
            n=sampling.distinct,
            temperature=sampling.temperature,
            max_tokens=sampling.max_new_tokens,
            seed=prompt.seed,  # vLLM gives sample k the seed + k
            stop=list(sampling.stop) or None,
            detokenize=bool(sampling.stop),  # else it is done here, once
            output_kind=RequestOutputKind.FINAL_ONLY,
            **grammar,
        )

    def _generate(self, prompts: list[Any], parameters: list[Any]) -> Iterator[tuple[int, Any]]:
        """The place of a prompt and the engine's output, as they come."""
        from vllm.exceptions import VLLMError
        from vllm.v1.engine.exceptions import EngineDeadError

        engine = self.llm.llm_engine
        names: list[str] = []
        try:
            names = self.llm.enqueue(
                prompts, parameters, lora_request=self._adapter, use_tqdm=False
            )
            # vLLM numbers its requests; what it adds to a number after a dash is not in outputs.
            positions = {name.partition("-")[0]: position for position, name in enumerate(names)}
            while positions:
                for output in engine.step():
                    if output.finished:
                        yield positions.pop(output.request_id), output
            names = []
        except EngineDeadError as error:
            names = []
            raise EngineError(
                f"vLLM's engine died while it wrote for {len(prompts)} prompts; its own last lines "
                "above name the cause. What was stored before is kept: run again, and it goes on "
                "from there; with a lower language_model.batch_size if memory ran out"
            ) from error
        except (VLLMError, ValueError, RuntimeError) as error:
            raise EngineError(
                f"vLLM refused to write for {len(prompts)} prompts: {error}; set "
                "language_model.engine to 'transformers' if the prompts are right"
            ) from error
        finally:
            if names:  # not all were wanted, or an error: the engine must not go on with them
                engine.abort_request([name.partition("-")[0] for name in names])

    def _completions(
        self, prompt: Prompt, prompt_ids: tuple[int, ...], output: Any, sampling: Sampling
    ) -> list[Completion]:
        written = []
        for choice in output.outputs:
            tokens = tuple(choice.token_ids)
            text = self._tokenizer.decode(tokens, skip_special_tokens=True)
            constrained, scale = 0, None
            allowed: tuple[tuple[int, ...], ...] = ((),) * len(tokens)
            if prompt.grammar:
                part = constrained_part(prompt.grammar, text, prompt.scale)
                # None: the limit cut the text within a character, so the grammar was not complete.
                constrained = (
                    tokens_reaching(self._tokenizer, tokens, part.length) if part else len(tokens)
                )
                scale = self._scale(prompt, tokens, choice.logprobs, part)
                if sampling.keep_allowed:
                    allowed = self._grammars.allowed(with_free_tail(prompt.grammar), tokens)
            written.append(
                Completion(
                    text=choice.text if sampling.stop else text,
                    token_ids=tokens,
                    constrained=tuple(index < constrained for index in range(len(tokens))),
                    finished=choice.finish_reason == "stop",
                    scale=scale,
                    prompt_ids=prompt_ids,
                    logprobs=_logprobs(tokens, choice.logprobs) if sampling.keep_allowed else None,
                    allowed=allowed if sampling.keep_allowed else (),
                )
            )
        return written * (sampling.samples // sampling.distinct)

    def _scale(
        self,
        prompt: Prompt,
        tokens: tuple[int, ...],
        logprobs: Any,
        part: ConstrainedPart | None,
    ) -> tuple[float, ...] | None:
        """Of each word of the prompt's scale, from the engine's masked log-probabilities."""
        if part is None or part.scale_at is None:
            return None
        words = self._texts.scale(prompt.scale)
        position = words.position(tokens, tokens_reaching(self._tokenizer, tokens, part.scale_at))
        if position is None:
            return None
        return words.shares(lambda token: math.exp(logprobs[position][token].logprob))


def _logprobs(tokens: tuple[int, ...], logprobs: Any) -> tuple[float, ...]:
    return tuple(logprobs[position][token].logprob for position, token in enumerate(tokens))
