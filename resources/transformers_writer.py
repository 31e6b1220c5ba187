"""`TransformersWriter`: the reason writer that runs on plain `transformers`, on CPU or GPU."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from resources.accelerator import Accelerator
from resources.errors import EngineError
from resources.reason_writer import Completion, Prompt, ReasonWriter, Sampling, WriterOptions

log = logging.getLogger(__name__)


class TransformersWriter(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens writers that generate with `transformers`."""

    accelerator: dg.ResourceDependency[Accelerator]

    @contextmanager
    def open(
        self, base: Path, adapter: Path | None, options: WriterOptions
    ) -> Iterator[ReasonWriter]:
        """A writer with the base model and, merged into it, the adapter."""
        import gc

        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        place = self.accelerator.resolve()
        tokenizer = AutoTokenizer.from_pretrained(base)
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, place.dtype))
        if adapter is not None:
            # Merged: the adapter's small products cost a fifth of decoding time on a CPU.
            model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
        writer = LoadedWriter(
            model.to(place.device).eval(),
            tokenizer,
            options.batch_size,
            options.max_prompt_tokens,
        )
        try:
            yield writer
        finally:
            del model, writer
            gc.collect()
            if place.device == "cuda":
                torch.cuda.empty_cache()


class LoadedWriter:
    """A `transformers` model that continues chats; GRPO uses it on the model in training."""

    def __init__(self, model: Any, tokenizer: Any, batch_size: int, max_prompt_tokens: int) -> None:
        from resources.constrained_decoding import GrammarCompiler

        self.model = model
        self.tokenizer = tokenizer
        self._batch_size = batch_size
        self._max_prompt_tokens = max_prompt_tokens
        self._compiler = GrammarCompiler(tokenizer, model.config.vocab_size)

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """One completion per prompt, in the order of the prompts.

        Prompts are batched by length. Raises `EngineError` for a prompt that is too long.
        """
        encoded = [self._encode(prompt) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda index: len(encoded[index]))
        done: dict[int, Completion] = {}
        started = time.monotonic()
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            written = self._batch(
                [prompts[i] for i in batch], [encoded[i] for i in batch], sampling
            )
            done.update(zip(batch, written, strict=True))
            seconds = time.monotonic() - started
            log.info("wrote %d of %d texts in %.0f s", len(done), len(prompts), seconds)
        return [done[index] for index in range(len(prompts))]

    def _encode(self, prompt: Prompt) -> list[int]:
        text = self.tokenizer.apply_chat_template(
            prompt.chat(), add_generation_prompt=True, tokenize=False
        )
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) > self._max_prompt_tokens:
            raise EngineError(
                f"a prompt has {len(ids)} tokens, more than max_prompt_tokens = "
                f"{self._max_prompt_tokens}; raise language_model.max_prompt_tokens or show fewer "
                f"history items. It begins: {text[:120]!r}"
            )
        return ids

    def _batch(
        self, prompts: list[Prompt], encoded: list[list[int]], sampling: Sampling
    ) -> list[Completion]:
        import torch
        from transformers import LogitsProcessorList

        from resources.constrained_decoding import GrammarProcessor, SeededSampling

        device = self.model.device
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        width = max(map(len, encoded))
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in encoded], device=device)
        mask = torch.tensor(
            [[0] * (width - len(row)) + [1] * len(row) for row in encoded], device=device
        )
        grammar = GrammarProcessor(self._compiler, [prompt.grammar for prompt in prompts])
        processors = LogitsProcessorList([grammar])
        if sampling.temperature > 0:
            seeds = [prompt.seed for prompt in prompts]
            processors.append(SeededSampling(seeds, sampling.temperature, device))
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                logits_processor=processors,
                max_new_tokens=sampling.max_new_tokens,
                do_sample=False,  # SeededSampling makes the greedy choice a sample
                use_cache=True,
                pad_token_id=pad,
                eos_token_id=end,
            )
        rows = output[:, width:].tolist()
        return [
            self._completion(row, encoded[i], grammar.governed[i], grammar.verdict_probability[i])
            for i, row in enumerate(rows)
        ]

    def _completion(
        self, row: list[int], prompt_ids: list[int], governed: int, verdict: float | None
    ) -> Completion:
        end = self.tokenizer.eos_token_id
        finished = end in row
        tokens = row[: row.index(end) + 1] if finished else row
        return Completion(
            text=self.tokenizer.decode(tokens, skip_special_tokens=True),
            token_ids=tuple(tokens),
            free=tuple(position >= governed for position in range(len(tokens))),
            finished=finished,
            verdict_probability=verdict,
            prompt_ids=tuple(prompt_ids),
        )
