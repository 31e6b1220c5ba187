"""The server engine against the contract of text generation: a real model behind real HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from curec_assets.explanation.levels import LEVEL_SCALE
from resources.compute.accelerator import Accelerator
from resources.generation.protocol import ServerEndpoint, TextGenerator
from resources.generation.scale import TokenTexts
from resources.generation.server.generator import ServerFactory
from resources.generation.transformers.generator import TransformersFactory
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads
from tests.support.generation_contract import OPTIONS, GenerationContract
from tests.support.openai_server import MODEL, openai_server


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextGenerator]:
    folder: Path = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    base = LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny")
    texts = TokenTexts(AutoTokenizer.from_pretrained(base.path))
    with (
        TransformersFactory(accelerator=Accelerator()).open(base, None, OPTIONS) as served,
        openai_server(served, texts, LEVEL_SCALE) as url,
        ServerFactory().open(
            base, None, replace(OPTIONS, server=ServerEndpoint(url, MODEL, retries=0))
        ) as opened,
    ):
        yield opened


class TestServer(GenerationContract):
    """Each law of the contract."""
