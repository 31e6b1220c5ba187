"""What every engine that writes text must do: one suite, passed by each of them.

A new engine gets a subclass whose name begins with `Test`, in its own folder of tests, with a
fixture `generator`: the engine opened with `OPTIONS` on any chat model.
"""

from dataclasses import replace

import pytest

from curec_assets.evidence.levels import LEVELS
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grammar import CHAIN_END
from curec_assets.explanation.prompts import parse_reason, reason_prompt
from resources.errors import EngineError
from resources.generation.protocol import GeneratorOptions, Prompt, Sampling, TextGenerator

OPTIONS = GeneratorOptions(batch_size=4, max_prompt_tokens=400, max_new_tokens=128)
FACTS = [
    Facts(
        f"The {word} Harbor",
        ("drama", "crime")[: number % 3],
        (
            *(Fact("related", 3 - n, f"Film {n}", True) for n in range(number % 4)),
            *([Fact("crowd", -2)] if number % 2 else []),
            *([Fact("new_item", 0)] if number % 3 else []),
        ),
    )
    for number, word in enumerate(["Silent", "Golden", "Quiet", "Broken", "Last", "Wild"])
]
PROMPTS = [reason_prompt(facts, seed=100 + number) for number, facts in enumerate(FACTS)]


class GenerationContract:
    """The laws of `TextGenerator`, whatever the model has learned."""

    def test_it_says_what_it_is(self, generator: TextGenerator) -> None:
        assert generator.engine

    def test_nothing_to_write(self, generator: TextGenerator) -> None:
        assert generator.write([], Sampling(8)) == []

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_a_text_does_not_depend_on_its_batch_or_order(
        self, generator: TextGenerator, temperature: float
    ) -> None:
        sampling = Sampling(60, temperature)
        together = generator.write(PROMPTS, sampling)
        alone = [generator.write([prompt], sampling)[0] for prompt in PROMPTS]
        backwards = generator.write(PROMPTS[::-1], sampling)[::-1]
        assert [c.text for c in together] == [c.text for c in alone]
        assert [c.text for c in together] == [c.text for c in backwards]
        assert [c.prompt_ids for c in together] == [c.prompt_ids for c in alone]

    def test_prompt_tokens_are_those_that_the_engine_saw(self, generator: TextGenerator) -> None:
        for prompt, completion in zip(PROMPTS, generator.write(PROMPTS, Sampling(2)), strict=True):
            assert generator.prompt_tokens(prompt) == len(completion.prompt_ids) > 0

    def test_samples_follow_their_seeds(self, generator: TextGenerator) -> None:
        """Sample k of seed s is sample 0 of seed s + k, in any company."""
        first, third = (Prompt(PROMPTS[0].messages, PROMPTS[0].grammar, seed) for seed in (40, 42))
        several = generator.write([first, *PROMPTS[1:3]], Sampling(40, 1.0, samples=4))
        alone = generator.write([third], Sampling(40, 1.0))[0]
        assert len(several) == 12
        assert len({c.text for c in several[:4]}) > 1
        assert several[2].token_ids == alone.token_ids
        for start in range(0, 12, 4):
            assert len({c.prompt_ids for c in several[start : start + 4]}) == 1

    def test_greedy_samples_are_the_same_text(self, generator: TextGenerator) -> None:
        written = generator.write(PROMPTS[:2], Sampling(12, samples=3))
        assert [c.text for c in written] == [c.text for i in (0, 3) for c in [written[i]] * 3]

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_the_start_obeys_the_grammar_and_the_rest_is_free(
        self, generator: TextGenerator, temperature: float
    ) -> None:
        written = generator.write(PROMPTS, Sampling(120, temperature))
        for facts, completion in zip(FACTS, written, strict=True):
            parsed = parse_reason(completion.text)
            assert parsed is not None, completion.text
            assert set(parsed.cited) <= set(facts.handles)
            assert len(completion.constrained) == len(completion.token_ids)
            held = list(completion.constrained)
            assert held == sorted(held, reverse=True), "constrained tokens come first"
            assert any(held)
            assert completion.scale is not None
            assert len(completion.scale) == LEVELS
            assert sum(completion.scale) == pytest.approx(1.0)
            if temperature == 0.0:
                assert completion.scale[parsed.level - 1] > 0.0

    def test_what_a_token_was_chosen_among_is_kept_where_asked_for(
        self, generator: TextGenerator
    ) -> None:
        prompts = [*PROMPTS, Prompt(PROMPTS[0].messages)]
        asked = generator.write(prompts, Sampling(60, 1.0, keep_allowed=True))
        plain = generator.write(prompts, Sampling(60, 1.0))
        assert [c.token_ids for c in asked] == [c.token_ids for c in plain]
        assert not any(c.allowed for c in plain)
        for completion, prompt in zip(asked, prompts, strict=True):
            assert len(completion.allowed) == len(completion.token_ids)
            choices = [
                (token, among, held)
                for token, among, held in zip(
                    completion.token_ids, completion.allowed, completion.constrained, strict=True
                )
                if among
            ]
            for token, among, held in choices:
                assert held, "only the grammar limits a choice"
                assert token in among
                assert len(among) > 1
                assert list(among) == sorted(set(among))
            assert bool(choices) == bool(prompt.grammar)
            if completion.logprobs is not None:
                assert len(completion.logprobs) == len(completion.token_ids)
                assert max(completion.logprobs) <= 1e-6

    def test_a_completion_cut_within_its_grammar_is_all_constrained(
        self, generator: TextGenerator
    ) -> None:
        for limit in (1, 3):
            completion = generator.write(PROMPTS[:1], Sampling(limit))[0]
            assert all(completion.constrained)
            assert (len(completion.token_ids), completion.finished) == (limit, False)

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_a_text_ends_with_its_grammar_where_that_is_asked_for(
        self, generator: TextGenerator, temperature: float
    ) -> None:
        closed = [replace(prompt, open_end=False) for prompt in PROMPTS]
        sampling = Sampling(80, temperature, keep_allowed=True)
        opened = generator.write(PROMPTS, sampling)
        for completion, longer in zip(generator.write(closed, sampling), opened, strict=True):
            assert completion.finished
            assert all(completion.constrained)
            assert completion.text == longer.text.partition(CHAIN_END)[0] + CHAIN_END
            assert completion.allowed[-1] == ()

    def test_without_a_grammar_every_token_is_free(self, generator: TextGenerator) -> None:
        completion = generator.write([Prompt(PROMPTS[0].messages)], Sampling(8))[0]
        assert completion.constrained
        assert not any(completion.constrained)
        assert completion.scale is None

    def test_a_completion_ends_before_a_stop_text(self, generator: TextGenerator) -> None:
        whole = generator.write(PROMPTS[:4], Sampling(80))
        stopped = generator.write(PROMPTS[:4], Sampling(80, stop=(CHAIN_END,)))
        for a, b in zip(whole, stopped, strict=True):
            assert b.text == a.text.partition(CHAIN_END)[0]
            if b.text != a.text:
                assert b.finished

    def test_a_prompt_that_is_too_long_is_refused(self, generator: TextGenerator) -> None:
        with pytest.raises(EngineError, match="max_prompt_tokens = 400"):
            generator.write([Prompt((("user", "word " * 500),))], Sampling(8))

    def test_a_grammar_that_is_none_is_refused_and_the_engine_goes_on(
        self, generator: TextGenerator
    ) -> None:
        with pytest.raises(EngineError):
            generator.write([Prompt(PROMPTS[0].messages, "root ::= ((")], Sampling(8))
        assert generator.write(PROMPTS[:1], Sampling(4))[0].token_ids
