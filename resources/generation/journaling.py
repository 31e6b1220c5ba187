"""Reason writers whose completions survive a kill of the step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.generation.journal import Journal, JournaledGenerator
from resources.generation.protocol import GeneratorFactory, GeneratorOptions, TextGenerator
from resources.models.checkpoint import BaseCheckpoint


@contextmanager
def journaled_generator(
    factory: GeneratorFactory,
    base: BaseCheckpoint,
    adapter: Path | None,
    options: GeneratorOptions,
    *,
    workspace: Path,
    identity: str,
) -> Iterator[TextGenerator]:
    """A writer that keeps each completion in `workspace` as soon as it is there.

    Asked again for what it has kept, in this process or after a kill, it does not write it again.
    `identity` names the weights.
    """
    with (
        Journal(workspace / "completions.jsonl", identity) as journal,
        factory.open(base, adapter, options) as writer,
    ):
        yield JournaledGenerator(writer, journal, options.batch_size)
