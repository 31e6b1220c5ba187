"""The `transformers` engine against the contract of text generation, with a real (tiny) model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resources.generation.protocol import Sampling, TextGenerator
from tests.support.generation_contract import OPTIONS, PROMPTS, GenerationContract
from tests.support.tiny_writer import tiny_writer


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextGenerator]:
    with tiny_writer(tmp_path_factory.mktemp("base"), OPTIONS) as opened:
        yield opened


class TestTransformers(GenerationContract):
    """Each law of the contract."""


def test_the_number_format_is_that_of_the_options(
    generator: TextGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    once = Sampling(1, 0.0, keep_allowed=True)
    with tiny_writer(tmp_path, replace(OPTIONS, dtype="bfloat16")) as coarse:
        found = coarse.write(PROMPTS, once)
    expected = generator.write(PROMPTS, once)
    apart = [
        abs(a.logprobs[0] - b.logprobs[0])
        for a, b in zip(found, expected, strict=True)
        if a.logprobs and b.logprobs
    ]
    assert 0 < max(apart) < 0.1
