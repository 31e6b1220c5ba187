"""What every engine that writes text for CURec offers, and the types that pass through it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from resources.models.checkpoint import BaseCheckpoint

Message = dict[str, str]
"""One chat turn: `{"role": "system" | "user" | "assistant", "content": ...}`."""


@dataclass(frozen=True)
class Prompt:
    """A chat to be continued."""

    messages: tuple[tuple[str, str], ...]
    """(role, content) of each turn; the assistant's turn follows."""
    grammar: str = ""
    """EBNF (xgrammar dialect) that the completion obeys, or its start; see `open_end`."""
    seed: int = 0
    """Seed of this prompt's own random stream: results do not depend on batch or order."""
    scale: tuple[str, ...] = ()
    """Texts, lowest first, of which the grammar has one written: words with a space before them
    that begin with different letters. How probable each was is kept, see `Completion.scale`."""
    open_end: bool = True
    """Whether the model goes on freely where the grammar is complete; else the completion ends."""

    def chat(self) -> list[Message]:
        """The turns as chat templates expect them."""
        return [{"role": role, "content": content} for role, content in self.messages]


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen."""

    max_new_tokens: int
    temperature: float = 0.0
    """0 is greedy."""
    samples: int = 1
    """Completions per prompt."""
    stop: tuple[str, ...] = ()
    """The completion ends before the first of these texts; that counts as finished."""
    keep_allowed: bool = False
    """Whether completions tell what each token was chosen among, and how probable it was there."""

    @property
    def distinct(self) -> int:
        """Completions to ask an engine for: greedy ones of a prompt are all the same."""
        return self.samples if self.temperature > 0 else 1


@dataclass(frozen=True)
class Completion:
    """What an engine wrote for one prompt."""

    text: str
    token_ids: tuple[int, ...]
    """Generated tokens, the end-of-turn token included when there is one."""
    constrained: tuple[bool, ...]
    """Per token: True where the grammar constrained the choice, False where the model was free."""
    finished: bool
    """Whether the end-of-turn token was reached within the limit."""
    scale: tuple[float, ...] | None
    """Probability of each text of the prompt's scale, at the token that decides between them and
    after what stands before it; None where there was no such choice or the engine does not tell."""
    prompt_ids: tuple[int, ...] = ()
    """The prompt's tokens, as the engine saw them."""
    logprobs: tuple[float, ...] | None = None
    """Of each token, its log-probability in the distribution that it was drawn from; None where
    `Sampling.keep_allowed` did not ask for it or the engine does not tell."""
    allowed: tuple[tuple[int, ...], ...] = ()
    """Per token, where the grammar left a choice: the tokens that it allowed there, rising. Empty
    for a token that the grammar left free, or that it forced (other tokens may have been allowed
    there, but only to begin the same text). Nothing at all unless `Sampling.keep_allowed`."""


class TextGenerator(Protocol):
    """A loaded model that continues chats."""

    engine: str
    """Name and version of what generates, for manifests."""

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """`sampling.samples` completions per prompt, in the order of the prompts.

        Those of one prompt are next to each other; sample k of a prompt draws from the random
        stream of `prompt.seed + k`. Raises `EngineError`.
        """
        ...

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of the prompt as the engine would see it, chat template included."""
        ...


@dataclass(frozen=True)
class ServerEndpoint:
    """An OpenAI-compatible endpoint (`vllm serve`, for instance)."""

    url: str
    """Base address, such as `http://127.0.0.1:8000/v1`."""
    model: str = ""
    """Name of the served model; empty: what `served_model_name` derives from the weights."""
    api_key_variable: str = ""
    """Environment variable that holds the key, if one is wanted: the key itself is no setting."""
    concurrency: int = 16
    """Requests under way at once."""
    timeout_seconds: float = 120.0
    """Longest wait for one whole answer."""
    retries: int = 5
    """Attempts after the first, with exponential backoff."""


Engine = Literal["auto", "transformers", "vllm", "server"]
NumberFormat = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class GeneratorOptions:
    """How a generator is to be opened."""

    batch_size: int
    """Completions generated at once."""
    max_prompt_tokens: int
    max_new_tokens: int
    engine: Engine = "auto"
    """`auto`: vLLM where it is installed and there is a GPU, else `transformers`."""
    server: ServerEndpoint | None = None
    """Where engine `server` is."""
    dtype: NumberFormat = "auto"
    """Of weights and products, for engines in this process; `auto`: the accelerator's."""


class GeneratorFactory(Protocol):
    """The resource `generator_factory`: opens a generator for a base model and an adapter."""

    def open(
        self, base: BaseCheckpoint, adapter: Path | None, options: GeneratorOptions
    ) -> AbstractContextManager[TextGenerator]:
        """A generator that is closed, with all its memory, at the end of the `with` block."""
        ...
