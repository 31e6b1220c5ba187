"""The `transformers` engine against the contract of text generation, with a real (tiny) model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.compute.accelerator import Accelerator
from resources.generation.protocol import TextGenerator
from resources.generation.transformers.generator import TransformersFactory
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads
from tests.support.generation_contract import OPTIONS, GenerationContract


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextGenerator]:
    folder: Path = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    base = LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny")
    with TransformersFactory(accelerator=Accelerator()).open(base, None, OPTIONS) as opened:
        yield opened


class TestTransformers(GenerationContract):
    """Each law of the contract."""
