"""`ReasonWriters`: opens the engine that the options name; the resource `reason_writer`."""

from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

import dagster as dg

from resources.accelerator import Accelerator
from resources.reason_writer import Engine, ReasonWriter, ReasonWriterFactory, WriterOptions
from resources.server_writer import ServerWriter
from resources.transformers_writer import TransformersWriter
from resources.vllm_writer import VllmWriter


class ReasonWriters(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Every engine that writes text; which one is used is a setting (`language_model.engine`)."""

    accelerator: dg.ResourceDependency[Accelerator]
    transformers: dg.ResourceDependency[TransformersWriter]
    vllm: dg.ResourceDependency[VllmWriter]

    def open(
        self, base: Path, adapter: Path | None, options: WriterOptions
    ) -> AbstractContextManager[ReasonWriter]:
        """A writer of the engine that `options` name; see each engine for what it raises."""
        engines: dict[Engine, ReasonWriterFactory] = {
            "transformers": self.transformers,
            "vllm": self.vllm,
            "server": ServerWriter(),
        }
        engine = options.engine
        if engine == "auto":
            on_gpu = self.accelerator.resolve().device != "cpu"
            engine = "vllm" if on_gpu and find_spec("vllm") else "transformers"
        return engines[engine].open(base, adapter, options)
