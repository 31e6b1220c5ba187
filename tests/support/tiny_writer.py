"""The tiny model, whose weights are random, as the `transformers` engine runs it."""

from contextlib import AbstractContextManager
from pathlib import Path

from resources.compute.accelerator import Accelerator
from resources.generation.protocol import GeneratorOptions, TextGenerator
from resources.generation.transformers.generator import TransformersFactory
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads


def tiny_writer(folder: Path, options: GeneratorOptions) -> AbstractContextManager[TextGenerator]:
    """Made in `folder`."""
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    base = LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny")
    return TransformersFactory(accelerator=Accelerator()).open(base, None, options)
