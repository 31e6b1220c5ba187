"""What every engine that writes text for CURec offers, and the types that pass through it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Message = dict[str, str]
"""One chat turn: `{"role": "system" | "user" | "assistant", "content": ...}`."""


@dataclass(frozen=True)
class Prompt:
    """A chat to be continued."""

    messages: tuple[tuple[str, str], ...]
    """(role, content) of each turn; the assistant's turn follows."""
    grammar: str = ""
    """EBNF (xgrammar dialect) that the start of the completion obeys; what follows it is free."""
    seed: int = 0
    """Seed of this prompt's own random stream: results do not depend on batch or order."""

    def chat(self) -> list[Message]:
        """The turns as chat templates expect them."""
        return [{"role": role, "content": content} for role, content in self.messages]


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen."""

    max_new_tokens: int
    temperature: float = 0.0
    """0 is greedy."""


@dataclass(frozen=True)
class Completion:
    """What an engine wrote for one prompt."""

    text: str
    token_ids: tuple[int, ...]
    """Generated tokens, the end-of-turn token included when there is one."""
    free: tuple[bool, ...]
    """Per token: False where the grammar governed the choice, True where the model was free."""
    finished: bool
    """Whether the end-of-turn token was reached within the limit."""
    verdict_probability: float | None
    """Probability of *like* against *dislike* where the grammar offered just these; else None."""
    prompt_ids: tuple[int, ...] = ()
    """The prompt's tokens, as the engine saw them."""


class ReasonWriter(Protocol):
    """A loaded model that continues chats."""

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """One completion per prompt, in the order of the prompts. Raises `EngineError`."""
        ...


class ReasonWriterFactory(Protocol):
    """The resource `reason_writer`: opens a writer for a base model and an adapter."""

    def open(
        self, base: Path, adapter: Path | None, *, batch_size: int, max_prompt_tokens: int
    ) -> AbstractContextManager[ReasonWriter]:
        """A writer that is closed, with all its memory, at the end of the `with` block."""
        ...
