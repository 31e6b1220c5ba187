"""Logits processors for `transformers`' `generate`: a grammar per row, and a random stream per row.

xgrammar ships a processor of its own; ours also tells which tokens the grammar governed (they carry
no choice for reinforcement learning), steps aside once the grammar is complete (what follows is
free text), and keeps the probability of the verdict.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import xgrammar as xgr
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from resources.errors import EngineError

_VERDICTS = (" like", " dislike")


class GrammarCompiler:
    """Compiles grammars for one tokenizer; compiled ones are cached by their text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> None:
        info = xgr.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocab_size)
        compiler = xgr.GrammarCompiler(info, max_threads=1)
        self.vocab_size = vocab_size
        self.compile = lru_cache(maxsize=1024)(compiler.compile_grammar)
        texts = [str(tokenizer.decode([token])) for token in range(len(tokenizer))]
        self.verdict_tokens = tuple(
            tuple(
                token
                for token, text in enumerate(texts)
                if len(text) > 1 and verdict.startswith(text)
            )
            for verdict in _VERDICTS
        )
        """Tokens that can only begin *like*, and tokens that can only begin *dislike*."""


class GrammarProcessor(LogitsProcessor):
    """Masks each row by its own grammar until that grammar is complete. For one `generate` call."""

    def __init__(self, compiler: GrammarCompiler, grammars: Sequence[str]) -> None:
        self._compiler = compiler
        self._matchers: list[Any] = [
            xgr.GrammarMatcher(compiler.compile(text)) if text else None for text in grammars
        ]
        self._mask = xgr.allocate_token_bitmask(len(grammars), compiler.vocab_size)
        self._started = False
        self.governed = [0] * len(grammars)
        """Per row: how many leading tokens the grammar chose among."""
        self.verdict_probability: list[float | None] = [None] * len(grammars)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores (batch, vocabulary) with what the grammars forbid at minus infinity."""
        if self._started:
            self._accept(input_ids[:, -1].tolist())
        self._started = True
        active = [row for row, matcher in enumerate(self._matchers) if matcher is not None]
        if not active:
            return scores
        for row in active:
            self._matchers[row].fill_next_token_bitmask(self._mask, row)
            self.governed[row] += 1
        xgr.apply_token_bitmask_inplace(scores, self._mask.to(scores.device), indices=active)
        for row in active:
            self._record_verdict(row, scores[row])
        return scores

    def _accept(self, tokens: list[int]) -> None:
        for row, token in enumerate(tokens):
            matcher = self._matchers[row]
            if matcher is None:
                continue
            if not matcher.accept_token(token):
                raise EngineError(
                    f"row {row}: token {token} was generated but its grammar forbids it; "
                    "the tokenizer and the grammar disagree, reinstall the pinned xgrammar"
                )
            if matcher.is_completed():
                self._matchers[row] = None

    def _record_verdict(self, row: int, scores: torch.Tensor) -> None:
        like, dislike = (
            scores[list(tokens)].logsumexp(0) for tokens in self._compiler.verdict_tokens
        )
        if torch.isfinite(like) and torch.isfinite(dislike):
            self.verdict_probability[row] = float(torch.sigmoid(like - dislike))


class SeededSampling(LogitsProcessor):
    """Turns greedy choice into sampling, with a random stream of its own for every row.

    Adding Gumbel noise to logits / temperature and taking the maximum is sampling from the
    softmax (Gumbel-max). Rows keep their stream whatever batch they are in.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, device: torch.device) -> None:
        self._temperature = temperature
        self._device = device
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores (batch, vocabulary) whose maximum is a sample."""
        noise = torch.stack(
            [
                torch.empty(scores.shape[1]).exponential_(generator=generator)
                for generator in self._generators
            ]
        )
        noisy = scores / self._temperature - noise.clamp_min(1e-20).log().to(scores.device)
        return noisy  # type: ignore[return-value]
