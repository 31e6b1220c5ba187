"""How tokens are chosen: a grammar per row, and a random stream per row.

xgrammar ships a logits processor of its own; ours also tells which tokens the grammar constrained,
once the grammar is complete steps aside or ends the text (`Prompt.open_end`), keeps the
probabilities of a scale, and proposes the text that a grammar forces, so that it can be checked in
one forward pass instead of one a token.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import xgrammar as xgr
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from resources.errors import EngineError
from resources.generation.grammar_compiler import GrammarCompiler, forced_text
from resources.generation.scale import TokenTexts, offers

_LONGEST_DRAFT = 12  # tokens; longer ones are seldom right to their end


class DecodingGrammars(GrammarCompiler):
    """What the rows of one model share: compiled grammars, and what they need of the tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> None:
        """`vocab_size`: of the logits; it may exceed the tokenizer's."""
        super().__init__(tokenizer, vocab_size)
        self.texts = TokenTexts(tokenizer)
        self.encode = lru_cache(maxsize=4096)(
            lambda text: tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
        )


class Constraint:
    """The grammar of one row while it is generated. An empty grammar allows everything."""

    def __init__(
        self,
        grammars: DecodingGrammars,
        grammar: str,
        scale: tuple[str, ...] = (),
        *,
        open_end: bool = True,
    ) -> None:
        self._grammars = grammars
        self._words = scale
        self._scale = grammars.texts.scale(scale)
        self._matcher: Any = xgr.GrammarMatcher(grammars.compile(grammar)) if grammar else None
        self.constrained = 0
        """How many tokens the grammar has chosen among."""
        self.scale: tuple[float, ...] | None = None
        """Probability of each word of the scale, once it is decided."""
        self._open_end = open_end
        self.over = False
        """Whether nothing but the end may follow."""

    @property
    def active(self) -> bool:
        """Whether the grammar still constrains the next token."""
        return self._matcher is not None

    def draft(self) -> tuple[int, ...]:
        """Tokens of the text that the grammar forces next, as the tokenizer would write it.

        A proposal only: the same text may be written with other tokens.
        """
        if self._matcher is None:
            return ()
        forced = forced_text(self._matcher)
        return self._grammars.encode(forced)[:_LONGEST_DRAFT] if forced else ()

    def fill(self, mask: Tensor, first: int, draft: Sequence[int]) -> int:
        """Write what is allowed before, between and after the drafted tokens into `mask`.

        Rows `first`, `first` + 1, ... of the bit mask; returns how many of them are constrained.
        """
        if self._matcher is None:
            return 0
        accepted = 0
        for position in range(len(draft) + 1):
            self._matcher.fill_next_token_bitmask(mask, first + position)
            if position == len(draft) or not self._matcher.accept_token(draft[position]):
                break
            accepted += 1
            if self._matcher.is_completed():
                break
        filled = position + 1
        self._matcher.rollback(accepted)
        return filled

    def accept(self, token: int, scores: Tensor) -> None:
        """Go on with `token`, chosen by the masked `scores` (vocabulary,)."""
        if self._matcher is None:
            return
        if token in self._scale.deciding and offers(self._matcher, self._words):
            shares = scores.double().softmax(0)
            self.scale = self._scale.shares(lambda word: float(shares[word]))
        if not self._matcher.accept_token(token):
            raise EngineError(
                f"token {token} was generated but its grammar forbids it; the tokenizer and the "
                "grammar disagree, reinstall the pinned xgrammar"
            )
        self.constrained += 1
        if self._matcher.is_completed():
            self._matcher = None
            self.over = not self._open_end


def choose(
    logits: Tensor,
    mask: Tensor,
    constrained: Sequence[int],
    temperature: float,
    streams: Sequence[tuple[int, int]],
) -> list[int]:
    """One token per row of `logits` (rows, vocabulary), which are masked in place.

    `mask`: bit mask, read in the rows `constrained`. `temperature` 0 is greedy. `streams`: (seed,
    position) of each row, which alone decide its noise: adding Gumbel noise to logits / temperature
    and taking the maximum is sampling from the softmax (Gumbel-max), whatever batch a row is in.
    """
    if constrained:
        rows = list(constrained)
        xgr.apply_token_bitmask_inplace(logits, mask.to(logits.device), indices=rows)
    if temperature == 0.0:
        return logits.argmax(dim=-1).tolist()
    noise = torch.stack([_gumbel(seed, position, logits.shape[1]) for seed, position in streams])
    return (logits / temperature + noise.to(logits.device)).argmax(dim=-1).tolist()


def logprobs(scores: Tensor, chosen: Sequence[int], temperature: float) -> list[float]:
    """Of each chosen token, its log-probability in the distribution that `choose` drew it from.

    `scores`: (rows, vocabulary), masked as `choose` leaves them. A greedy choice is told as if it
    had been drawn at temperature 1.
    """
    scores = scores / (temperature or 1.0)
    taken = scores.gather(1, torch.tensor(chosen, device=scores.device).unsqueeze(1)).squeeze(1)
    return (taken - scores.logsumexp(dim=1)).tolist()


def _gumbel(seed: int, position: int, size: int) -> Tensor:
    stream = hashlib.blake2b(f"{seed} {position}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(stream) >> 1)
    return -torch.empty(size).exponential_(generator=generator).clamp_min(1e-20).log()
