"""Reason writers whose completions survive a kill of the step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.journal import Journal, JournaledWriter
from resources.reason_writer import ReasonWriter, ReasonWriterFactory, WriterOptions


@contextmanager
def journaled_writer(
    factory: ReasonWriterFactory,
    base: Path,
    adapter: Path | None,
    options: WriterOptions,
    *,
    workspace: Path,
    identity: str,
) -> Iterator[ReasonWriter]:
    """A writer that keeps each completion in `workspace` as soon as it is there.

    Asked again for what it has kept, in this process or after a kill, it does not write it again.
    `identity` names the weights.
    """
    with (
        Journal(workspace / "completions.jsonl", identity) as journal,
        factory.open(base, adapter, options) as writer,
    ):
        yield JournaledWriter(writer, journal, options.batch_size)
