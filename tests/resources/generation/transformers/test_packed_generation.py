"""Packed generation chooses the tokens of plain `generate`, and computes less."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, Gemma2Config

from benchmarks import plain
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grammar import CHAIN_END
from curec_assets.explanation.prompts import reason_prompt
from curec_assets.explanation.wording import wording_prompt
from resources.errors import EngineError
from resources.generation.chat_tokens import chat_tokens
from resources.generation.transformers.constrained_decoding import DecodingGrammars
from resources.generation.transformers.packed_generation import (
    PackedGenerator,
    _require_plain_attention,
)
from resources.generation.transformers.requests import Generated, Limits, Request
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads

WORDS = ["Silent", "Golden", "Quiet", "Broken", "Last", "Wild", "Deep", "Cold"]
ATTRIBUTES = ("drama", "crime", "comedy")


class Models:
    """The tiny model twice: as `transformers` runs it, and packed."""

    def __init__(self, base: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        self.plain: Any = AutoModelForCausalLM.from_pretrained(base).eval()
        self.grammars = DecodingGrammars(self.tokenizer, self.plain.config.vocab_size)
        self._base = base

    def packed(self, batch_size: int) -> PackedGenerator:
        model = AutoModelForCausalLM.from_pretrained(self._base).eval()
        return PackedGenerator(model, self.tokenizer, self.grammars, batch_size)

    def request(self, facts: Facts, seed: int = 0) -> Request:
        prompt = reason_prompt(facts)
        return Request(chat_tokens(self.tokenizer, prompt), prompt.grammar, seed)

    def limits(self, **changes: Any) -> Limits:
        values = {"max_new_tokens": 48, "temperature": 0.0} | changes
        return Limits(end_token=self.tokenizer.eos_token_id, **values)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    return Models(LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny").path)


def in_order(generated: Iterator[Generated]) -> list[Generated]:
    return sorted(generated, key=lambda one: one.request)


def facts(candidate: str, user: int) -> Facts:
    related = tuple(
        Fact("related", 3 - n, f"{word} Film {user}", n % 2 == 0)
        for n, word in enumerate(WORDS[:user])
    )
    return Facts(
        f"The {candidate} Harbor", ATTRIBUTES[: 1 + user % 3], related, f"{user} tastes " * 5 * user
    )


@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 6)), min_size=1, max_size=9),
    st.integers(1, 5),
)
@settings(max_examples=12, deadline=None)
def test_the_tokens_are_those_of_plain_generate(
    models: Models, asked: list[tuple[str, int]], batch_size: int
) -> None:
    requests = [models.request(facts(*one)) for one in asked]
    expected = plain.generate(
        models.plain,
        models.tokenizer,
        models.grammars,
        [request.tokens for request in requests],
        [request.grammar for request in requests],
        48,
    )
    found = in_order(models.packed(batch_size).generate(requests, models.limits()))
    assert [one.tokens for one in found] == expected


def test_the_part_that_candidates_share_is_computed_once(models: Models) -> None:
    requests = [models.request(facts(word, 6)) for word in WORDS]
    generator = models.packed(len(WORDS))
    list(generator.generate(requests, models.limits()))
    prompts = sorted(request.tokens for request in requests)
    shared = next(
        place for place, tokens in enumerate(zip(*prompts, strict=False)) if len({*tokens}) > 1
    )
    tails = sum(len(tokens) - shared for tokens in prompts)
    assert generator.counts.computed_prompt_tokens == shared + tails
    assert generator.counts.computed_prompt_tokens < generator.counts.prompt_tokens / 2


def test_samples_of_one_prompt_share_all_of_it_and_differ(models: Models) -> None:
    requests = [models.request(facts("Silent", 3), seed) for seed in range(4)]
    generator = models.packed(4)
    found = in_order(generator.generate(requests, models.limits(temperature=1.0)))
    assert generator.counts.computed_prompt_tokens == len(requests[0].tokens) - 1 + 4
    assert len({one.tokens for one in found}) == 4


def test_text_that_the_grammar_forces_takes_fewer_passes_than_tokens(models: Models) -> None:
    generator = models.packed(1)
    about = facts("Silent", 2)
    asked = reason_prompt(about)
    worded = wording_prompt(asked, about, ("F1", "F2"), 7, free=False)
    request = Request(chat_tokens(models.tokenizer, worded), worded.grammar, 0)
    (found,) = generator.generate([request], models.limits(max_new_tokens=200))
    assert found.constrained > 20
    assert generator.counts.passes < 0.7 * len(found.tokens)


def test_out_of_memory_halves_the_batch_and_goes_on(
    models: Models, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [models.request(facts(word, number)) for number, word in enumerate(WORDS)]
    expected = in_order(models.packed(8).generate(requests, models.limits()))
    generator = models.packed(8)
    decode = generator._decode

    def small_device(rows: list[Any], *rest: Any) -> None:
        if len(rows) > 2:
            raise torch.OutOfMemoryError("as a device without room for three rows would say")
        decode(rows, *rest)

    monkeypatch.setattr(generator, "_decode", small_device)
    with caplog.at_level(logging.WARNING):
        found = in_order(generator.generate(requests, models.limits()))
    assert [one.tokens for one in found] == [one.tokens for one in expected]
    assert "going on with 2 completions at once" in caplog.text


def test_a_device_without_room_for_one_completion_is_named(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = models.packed(4)

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(generator, "_decode", full)
    with pytest.raises(EngineError, match="smaller base model"):
        list(generator.generate([models.request(facts("Wild", 1))], models.limits()))


def test_a_stop_text_ends_a_completion(models: Models) -> None:
    request = models.request(facts("Silent", 2))
    (found,) = models.packed(1).generate([request], models.limits(stop=(CHAIN_END,)))
    text = models.tokenizer.decode(found.tokens)
    assert found.finished
    assert text.endswith(CHAIN_END)


def test_a_model_that_does_not_attend_to_everything_is_refused() -> None:
    with pytest.raises(EngineError, match=r"layer_types.*'vllm'"):
        _require_plain_attention(Gemma2Config())
