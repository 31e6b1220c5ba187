"""The scale of a prompt: words among which its grammar has one chosen, and how probable each was.

The words begin with different letters, so the token that holds the first letter decides. The space
before it may be a token of its own, which says nothing yet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any


@dataclass(frozen=True)
class ScaleTokens:
    """Of each word of a scale, the tokens that only it can begin with."""

    words: tuple[frozenset[int], ...]

    @cached_property
    def deciding(self) -> frozenset[int]:
        """Those of any word."""
        return frozenset().union(*self.words)

    def position(self, tokens: Sequence[int], start: int) -> int | None:
        """Where `tokens` decide, if the word begins in token `start`."""
        here = range(start, min(start + 2, len(tokens)))
        return next((index for index in here if tokens[index] in self.deciding), None)

    def shares(self, weight: Callable[[int], float]) -> tuple[float, ...] | None:
        """Probability of each word from the tokens' (unnormalised) ones; None where all are 0."""
        weights = [sum(weight(token) for token in sorted(tokens)) for tokens in self.words]
        total = sum(weights)
        return tuple(each / total for each in weights) if total > 0 else None


class TokenTexts:
    """The texts of a tokenizer's tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self._texts = [str(tokenizer.decode([token])) for token in range(len(tokenizer))]
        self.scale = lru_cache(maxsize=64)(self._scale)

    def _scale(self, words: tuple[str, ...]) -> ScaleTokens:
        return ScaleTokens(
            tuple(
                frozenset(
                    token
                    for token, text in enumerate(self._texts)
                    if text.strip() and (word.startswith(text) or word.lstrip().startswith(text))
                )
                for word in words
            )
        )


def offers(matcher: Any, words: Sequence[str]) -> bool:
    """Whether a matcher allows any of the words next, or the rest of any after its space."""
    return bool(words) and any(
        all(_allows(matcher, word[start:]) for word in words) for start in (0, 1)
    )


def _allows(matcher: Any, text: str) -> bool:
    allowed = bool(matcher.accept_string(text))
    if allowed:
        matcher.rollback(1)
    return allowed
