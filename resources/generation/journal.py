"""Completions kept in a file as soon as they are there: nothing lost, nothing written twice.

One line per prompt: a checksum, the key (a hash of all that the completions depend on), and the
completions as JSON. A line that was torn by a killed process, or damaged later, is dropped with a
warning: its prompt is simply written again.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from resources.errors import ArtifactError
from resources.generation.protocol import (
    Completion,
    GeneratorFactory,
    GeneratorOptions,
    Prompt,
    Sampling,
    TextGenerator,
)
from resources.models.checkpoint import BaseCheckpoint

log = logging.getLogger(__name__)

_CHECKSUM, _KEY = 16, 32  # hex digits


class Journal:
    """The completions of one piece of work, in a file that survives a kill. For one process."""

    def __init__(self, path: Path, identity: str) -> None:
        """`identity` names what writes: lines of another model in the same file are not found.

        Only where each line stands is kept in memory.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._identity = identity
        self._file = path.open("a+b", buffering=0)
        self._lines: dict[str, tuple[int, int]] = {}  # key → where its JSON stands, and its length
        self._end = 0
        self._read_through()
        earlier = set_aside_from(path)
        self._earlier = Journal(earlier, identity) if earlier.exists() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._earlier:
            self._earlier._file.close()

    def key(self, prompt: Prompt, sampling: Sampling) -> str:
        """What names the completions of `prompt`: they depend on nothing else."""
        parts = [self._identity, asdict(prompt), asdict(sampling)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_KEY]

    def __contains__(self, key: str) -> bool:
        if key not in self._lines and self._earlier and key in self._earlier:
            self.keep(key, self._earlier[key])
        return key in self._lines

    def __getitem__(self, key: str) -> list[Completion]:
        """The completions kept under `key`. Raises `KeyError`."""
        start, length = self._lines[key]
        return [
            _decoded(entry) for entry in json.loads(os.pread(self._file.fileno(), length, start))
        ]

    def keep(self, key: str, completions: Sequence[Completion]) -> None:
        """Append the completions; they are the operating system's when this returns.

        Raises `ArtifactError` when they cannot be written; what was kept before stays good.
        """
        body = f"{key} {json.dumps([_encoded(completion) for completion in completions])}".encode()
        line = _checksum(body) + b" " + body + b"\n"
        try:
            written = self._file.write(line)
        except OSError as error:
            raise self._full(error) from error
        if written != len(line):
            raise self._full(f"only {written} of {len(line)} bytes were written")
        self._lines[key] = self._end + _CHECKSUM + _KEY + 2, len(line) - _CHECKSUM - _KEY - 3
        self._end += len(line)

    def _read_through(self) -> None:
        damaged = 0
        self._file.seek(0)
        with self._path.open("rb") as stream:
            for line in stream:
                if not line.endswith(b"\n"):
                    log.warning("%s: the last line is torn and dropped", self._path)
                    break
                body = line[_CHECKSUM + 1 : -1]
                if line[: _CHECKSUM + 1] == _checksum(body) + b" ":
                    length = len(body) - _KEY - 1
                    start = self._end + _CHECKSUM + _KEY + 2
                    self._lines[body[:_KEY].decode()] = start, length
                else:
                    damaged += 1
                self._end += len(line)
        if damaged:
            log.warning(
                "%s: %d damaged lines are left out; their texts will be written again",
                self._path,
                damaged,
            )
        self._file.truncate(self._end)

    def _full(self, error: object) -> ArtifactError:
        self._file.truncate(self._end)  # a torn line would spoil the next one
        return ArtifactError(
            f"{self._path} could not be written ({error}); free disk space and run again: what "
            "was written before is kept"
        )


@runtime_checkable
class DeliversEach(Protocol):
    """A generator that hands over the completions of each prompt as they come."""

    def write_each(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> Iterator[tuple[int, list[Completion]]]:
        """The position of a prompt and its completions, in any order of prompts."""
        ...


def set_aside(path: Path) -> None:
    """Let the journal at `path` go on with nothing but what is asked for from now on.

    What was kept is looked up in a file beside it, and taken over when it is asked for; removing
    that file ends it.
    """
    earlier = set_aside_from(path)
    if earlier.exists():  # set aside before, and not ended: nothing is lost
        with earlier.open("ab") as stream:
            stream.write(path.read_bytes())
        path.unlink()
    else:
        path.rename(earlier)


def set_aside_from(path: Path) -> Path:
    """Where `set_aside` puts what was kept at `path`."""
    return path.with_name(f"{path.name}.earlier")


class JournaledGenerator:
    """A generator that writes only what its journal does not have."""

    def __init__(self, generator: TextGenerator, journal: Journal, chunk: int) -> None:
        """`chunk`: prompts handed to `generator` at once, and so the most that a kill can lose.

        Some multiple of the batch size, so that there is something to sort by length. A generator
        that `DeliversEach` needs no chunks.
        """
        self.engine = generator.engine
        self._generator = generator
        self._journal = journal
        self._chunk = chunk

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of the prompt as the engine would see it."""
        return self._generator.prompt_tokens(prompt)

    def keeps(self, prompt: Prompt, sampling: Sampling) -> bool:
        """Whether the completions of this prompt are there already."""
        return self._journal.key(prompt, sampling) in self._journal

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """`sampling.samples` completions per prompt, in the order of the prompts.

        Equal prompts are written once. Raises `EngineError` as the generator does.
        """
        keys = [self._journal.key(prompt, sampling) for prompt in prompts]
        missing = {
            key: prompt
            for key, prompt in zip(keys, prompts, strict=True)
            if key not in self._journal
        }
        names = list(missing)
        for position, completions in self._new(list(missing.values()), sampling):
            self._journal.keep(names[position], completions)
        return [completion for key in keys for completion in self._journal[key]]

    def _new(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> Iterator[tuple[int, list[Completion]]]:
        if isinstance(self._generator, DeliversEach):
            yield from self._generator.write_each(prompts, sampling)
            return
        for start in range(0, len(prompts), self._chunk):
            chunk = prompts[start : start + self._chunk]
            written = self._generator.write(chunk, sampling)
            for offset in range(len(chunk)):
                first = offset * sampling.samples
                yield start + offset, written[first : first + sampling.samples]


@contextmanager
def journaled_generator(
    factory: GeneratorFactory,
    base: BaseCheckpoint,
    adapter: Path | None,
    options: GeneratorOptions,
    *,
    workspace: Path,
    identity: str,
) -> Iterator[JournaledGenerator]:
    """A generator that keeps each completion in `workspace` as soon as it is there.

    Asked again for what it has kept, in this process or after a kill, it does not write it again.
    `identity` names the weights.
    """
    with (
        Journal(workspace / "completions.jsonl", identity) as journal,
        factory.open(base, adapter, options) as generator,
    ):
        yield JournaledGenerator(generator, journal, options.batch_size)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_CHECKSUM].encode()


def _encoded(completion: Completion) -> dict[str, Any]:
    marks = "".join("01"[mark] for mark in completion.constrained)
    return {**asdict(completion), "constrained": marks}


def _decoded(entry: dict[str, Any]) -> Completion:
    tuples: dict[str, Any] = {
        name: tuple(value) for name, value in entry.items() if isinstance(value, list)
    }
    constrained = tuple(mark == "1" for mark in entry["constrained"])
    allowed = tuple(tuple(among) for among in entry["allowed"])
    return Completion(**{**entry, **tuples, "constrained": constrained, "allowed": allowed})
