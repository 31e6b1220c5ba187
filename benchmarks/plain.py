"""What a user would write without CURec: `generate` of `transformers` with a grammar per row.

Left-padded batches of 32 in the order given. Also the reference that the packed generation is
tested against: it must choose the same tokens.
"""

from collections.abc import Sequence
from typing import Any

import torch
import xgrammar as xgr
from transformers import LogitsProcessor, LogitsProcessorList

from resources.generation.grammar_compiler import GrammarCompiler

BATCH = 32


def generate(
    model: Any,
    tokenizer: Any,
    compiler: GrammarCompiler,
    prompts: Sequence[Sequence[int]],
    grammars: Sequence[str],
    max_new_tokens: int,
) -> list[tuple[int, ...]]:
    """Greedy tokens of each prompt, up to and with the end of turn."""
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    written: list[tuple[int, ...]] = []
    for start in range(0, len(prompts), BATCH):
        batch = prompts[start : start + BATCH]
        width = max(map(len, batch))
        ids = [[pad] * (width - len(row)) + list(row) for row in batch]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in batch]
        grammar = GrammarProcessor(compiler, grammars[start : start + BATCH])
        with torch.inference_mode():
            output = model.generate(
                input_ids=torch.tensor(ids),
                attention_mask=torch.tensor(mask),
                logits_processor=LogitsProcessorList([grammar]),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=pad,
                eos_token_id=end,
            )
        for row in output[:, width:].tolist():
            written.append(tuple(row[: row.index(end) + 1] if end in row else row))
    return written


class GrammarProcessor(LogitsProcessor):
    """Masks each row by its own grammar until that grammar is complete. For one `generate` call."""

    def __init__(self, compiler: GrammarCompiler, grammars: Sequence[str]) -> None:
        self._matchers: list[Any] = [
            xgr.GrammarMatcher(compiler.compile(text)) if text else None for text in grammars
        ]
        self._mask = xgr.allocate_token_bitmask(len(grammars), compiler.vocab_size)
        self._started = False

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores (batch, vocabulary) with what the grammars forbid at minus infinity."""
        if self._started:
            for row, token in enumerate(input_ids[:, -1].tolist()):
                matcher = self._matchers[row]
                if matcher is not None and (
                    not matcher.accept_token(token) or matcher.is_completed()
                ):
                    self._matchers[row] = None
        self._started = True
        active = [row for row, matcher in enumerate(self._matchers) if matcher is not None]
        for row in active:
            self._matchers[row].fill_next_token_bitmask(self._mask, row)
        if active:
            xgr.apply_token_bitmask_inplace(scores, self._mask, indices=active)
        return scores
