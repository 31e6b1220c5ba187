"""Grammars compiled for one tokenizer, and what they allowed at each token of a completion."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import xgrammar as xgr
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from resources.errors import EngineError

_KEPT = 1024  # compiled grammars; one of a reason takes some 0.3 MB
_SHOWN = 200  # characters of a grammar in an error message


class GrammarCompiler:
    """Compiles grammars for one tokenizer; the `_KEPT` used last are kept by their text."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> None:
        """`vocab_size`: of the logits; it may exceed the tokenizer's."""
        info = xgr.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocab_size)
        # Its own cache has no end: every item's title makes another grammar.
        compiler = xgr.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self.vocab_size = vocab_size
        self._texts: list[bytes] = info.decoded_vocab

        def compiled(grammar: str) -> xgr.CompiledGrammar:
            try:
                return compiler.compile_grammar(grammar)
            except RuntimeError as error:
                raise EngineError(
                    f"the grammar {grammar[:_SHOWN]!r} cannot be compiled ({error}); write it in "
                    "xgrammar's EBNF, with a rule `root`"
                ) from error

        self.compile = lru_cache(maxsize=_KEPT)(compiled)

    def allowed(self, grammar: str, tokens: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """Of each of `tokens`, those among which it was chosen under `grammar`, rising.

        Empty where there was no choice: after the end of the grammar's constrained part the model
        is free, and before it the text may be forced. What counts is the text: where every allowed
        token begins the same forced text, the tokens differ and what is said does not. `grammar` is
        the one that the engine applied, with a free tail or without. Nothing is found in tokens
        that do not obey it.
        """
        nothing: tuple[tuple[int, ...], ...] = ((),) * len(tokens)
        if not grammar:
            return nothing
        matcher = xgr.GrammarMatcher(self.compile(grammar))
        mask = xgr.allocate_token_bitmask(1, self.vocab_size)
        found: list[tuple[int, ...]] = []
        for token in tokens:
            if matcher.is_completed():
                break
            matcher.fill_next_token_bitmask(mask)
            choice = _members(mask[0].numpy())
            found.append(() if self._one_text(choice, matcher) else tuple(choice.tolist()))
            if not matcher.accept_token(token):
                return nothing
        return (*found, *nothing[len(found) :])

    def _one_text(self, choice: NDArray[np.int64], matcher: Any) -> bool:
        if len(choice) == 1:
            return True
        forced = forced_text(matcher).encode()
        return all(forced.startswith(self._texts[token]) for token in choice)


def forced_text(matcher: Any) -> str:
    """What a grammar forces next; empty where what is forced ends within a character.

    xgrammar 0.2.8 raises there: two options that begin with the same bytes of different letters.
    """
    try:
        return str(matcher.find_jump_forward_string())
    except UnicodeDecodeError:
        return ""


def _members(mask: NDArray[np.int32]) -> NDArray[np.int64]:
    """The tokens whose bits are set."""
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))
