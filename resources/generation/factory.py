"""`ConfiguredFactory`: opens the engine that the options name; the resource `generator_factory`."""

from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
from pydantic import Field

from resources.compute.accelerator import Accelerator
from resources.generation.protocol import Engine, GeneratorFactory, GeneratorOptions, TextGenerator
from resources.models.checkpoint import BaseCheckpoint


class ConfiguredFactory(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Every engine that writes text; which one is used is a setting (`language_model.engine`)."""

    accelerator: dg.ResourceDependency[Accelerator]
    gpu_memory_utilization: float = Field(
        0.85, gt=0.0, le=1.0, description="Share of the GPU's memory that vLLM takes."
    )

    def open(
        self, base: BaseCheckpoint, adapter: Path | None, options: GeneratorOptions
    ) -> AbstractContextManager[TextGenerator]:
        """A generator of the engine that `options` name; see each engine for what it raises."""
        engine = options.engine
        if engine == "auto":
            on_gpu = self.accelerator.resolve().device != "cpu"
            engine = "vllm" if on_gpu and find_spec("vllm") else "transformers"
        return self._factory(engine).open(base, adapter, options)

    def _factory(self, engine: Engine) -> GeneratorFactory:
        # Imported when opened: every step process loads the definitions, few of them write.
        if engine == "server":
            from resources.generation.server.generator import ServerFactory

            return ServerFactory()
        if engine == "vllm":
            from resources.generation.vllm.generator import VllmFactory

            return VllmFactory(
                accelerator=self.accelerator, gpu_memory_utilization=self.gpu_memory_utilization
            )
        from resources.generation.transformers.generator import TransformersFactory

        return TransformersFactory(accelerator=self.accelerator)
