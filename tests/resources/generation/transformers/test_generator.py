"""The contract of a reason writer, with a real (tiny) model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from curec_assets.explanation.facts import Facts, HistoryItem
from curec_assets.explanation.prompts import parse_reason, reason_prompt
from resources.compute.accelerator import Accelerator
from resources.errors import EngineError
from resources.generation.protocol import GeneratorOptions, Prompt, Sampling, TextGenerator
from resources.generation.transformers.generator import TransformersFactory
from resources.models.base_models import LanguageModel
from resources.models.checkpoint import BaseCheckpoint
from resources.models.downloads import Downloads

FACTS = [
    Facts(
        f"The {word} Harbor",
        ("drama", "crime")[: number % 3],
        tuple(HistoryItem(f"Film {n}", ("drama",)) for n in range(number % 4)),
        (HistoryItem("The Last Garden", ()),) if number % 2 else (),
    )
    for number, word in enumerate(["Silent", "Golden", "Quiet", "Broken", "Last", "Wild"])
]
PROMPTS = [reason_prompt(facts, seed=100 + number) for number, facts in enumerate(FACTS)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    return LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny").path


@pytest.fixture(scope="module")
def writer(base: Path) -> Iterator[TextGenerator]:
    with TransformersFactory(accelerator=Accelerator()).open(
        BaseCheckpoint(base), None, GeneratorOptions(4, 400, 24)
    ) as opened:
        yield opened


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_text_does_not_depend_on_its_batch_or_order(
    writer: TextGenerator, temperature: float
) -> None:
    sampling = Sampling(60, temperature)
    together = writer.write(PROMPTS, sampling)
    alone = [writer.write([prompt], sampling)[0] for prompt in PROMPTS]
    backwards = writer.write(PROMPTS[::-1], sampling)[::-1]
    assert [c.text for c in together] == [c.text for c in alone] == [c.text for c in backwards]
    assert [c.prompt_ids for c in together] == [c.prompt_ids for c in alone]


def test_sampling_follows_the_seed(writer: TextGenerator) -> None:
    chat = PROMPTS[0].messages
    texts = [
        completion.text
        for completion in writer.write(
            [Prompt(chat, seed=seed) for seed in (1, 1, 2)], Sampling(20, 1.0)
        )
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_evidence_obeys_the_grammar_and_the_rest_is_free(
    writer: TextGenerator, temperature: float
) -> None:
    for facts, completion in zip(
        FACTS, writer.write(PROMPTS, Sampling(120, temperature)), strict=True
    ):
        parsed = parse_reason(completion.text)
        assert parsed is not None, completion.text
        assert set(parsed.liked) <= {item.title for item in facts.liked}
        assert set(parsed.disliked) <= {item.title for item in facts.disliked}
        assert set(parsed.shared) <= set(facts.attributes)
        governed = [not free for free in completion.free]
        assert governed == sorted(governed, reverse=True), "governed tokens come first"
        assert any(governed)
        assert completion.verdict_probability is not None
        assert 0.0 <= completion.verdict_probability <= 1.0
        if temperature == 0.0:
            assert (completion.verdict_probability >= 0.5) == (parsed.verdict == "like")


def test_without_a_grammar_every_token_is_free(writer: TextGenerator) -> None:
    completion = writer.write([Prompt(PROMPTS[0].messages)], Sampling(8))[0]
    assert all(completion.free)
    assert completion.verdict_probability is None


def test_nothing_to_write(writer: TextGenerator) -> None:
    assert writer.write([], Sampling(8)) == []


def test_a_prompt_that_is_too_long_is_refused(base: Path) -> None:
    with (
        TransformersFactory(accelerator=Accelerator()).open(
            BaseCheckpoint(base), None, GeneratorOptions(4, 20, 8)
        ) as opened,
        pytest.raises(EngineError, match="max_prompt_tokens = 20"),
    ):
        opened.write(PROMPTS, Sampling(8))
