"""What packed generation is asked for, and what it gives."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """A completion that is wanted."""

    tokens: tuple[int, ...]
    """The prompt."""
    grammar: str
    seed: int
    scale: tuple[str, ...] = ()
    """See `Prompt.scale`, and"""
    open_end: bool = True
    """`Prompt.open_end`."""


@dataclass(frozen=True)
class Generated:
    """A completion."""

    request: int
    """Index of its request."""
    tokens: tuple[int, ...]
    constrained: int
    """How many leading tokens the grammar chose among."""
    finished: bool
    scale: tuple[float, ...] | None
    logprobs: tuple[float, ...] | None
    """Of each token, in the distribution that it was drawn from, if kept."""


@dataclass(frozen=True)
class Limits:
    """When a completion ends, and how its tokens are chosen."""

    max_new_tokens: int
    temperature: float
    end_token: int
    stop: tuple[str, ...] = ()
    """Texts that end a completion."""
    keep_logprobs: bool = False
