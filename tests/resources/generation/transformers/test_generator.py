"""The `transformers` engine against the contract of text generation, with a real (tiny) model."""

from collections.abc import Iterator

import pytest

from resources.generation.protocol import TextGenerator
from tests.support.generation_contract import OPTIONS, GenerationContract
from tests.support.tiny_writer import tiny_writer


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextGenerator]:
    with tiny_writer(tmp_path_factory.mktemp("base"), OPTIONS) as opened:
        yield opened


class TestTransformers(GenerationContract):
    """Each law of the contract."""
