"""Writing: shortened prompts, attempts, the gap to the evidence's level, the composer at last."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.core.seeds import random_generator
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grammar import CHAIN_END
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import completion, reason_prompt
from curec_assets.explanation.thinking import MIDPOINTS, matched_cuts
from curec_assets.explanation.writing import (
    ReasonRequest,
    WrittenReason,
    facts_cited,
    fit,
    write_reasons,
)
from curec_assets.settings import LanguageModelSettings
from resources.errors import EngineError
from resources.generation.protocol import Completion, Prompt, Sampling
from tests.support.grammars import admits
from tests.support.made_up_facts import CONTACT, facts

GENERATION = LanguageModelSettings(base="tiny")
FACTS = Facts(
    "The Silent Harbor",
    ("drama",),
    (Fact("crowd", 3, count=90, of=100), Fact("habit", -2), Fact("taste", 1)),
)


def words(prompt: Prompt) -> int:
    return sum(len(content.split()) for _, content in prompt.messages)


@given(facts(), st.integers(35, 70))
def test_a_prompt_is_shortened_from_the_weakest_fact(given_facts: Facts, limit: int) -> None:
    fitted, left_out = fit(given_facts, words, limit)
    assert words(reason_prompt(fitted)) <= limit
    kept = len(given_facts.arguments) - left_out
    assert fitted == replace(given_facts, arguments=given_facts.arguments[:kept])
    if left_out:  # and no more than had to
        longer = replace(given_facts, arguments=given_facts.arguments[: kept + 1])
        assert words(reason_prompt(longer)) > limit


def test_a_prompt_too_long_without_facts_is_an_error() -> None:
    with pytest.raises(EngineError, match=r"'The Silent Harbor' has \d+ tokens.*= 5"):
        fit(FACTS, words, 5)


def text_of(level: int, seed: int = 1) -> str:
    return completion(compose(FACTS, level, random_generator(seed)))


SCALE = (0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Of an expected level of 2.5."""


@dataclass
class Script:
    """A generator that says one text after the other, each in two steps: its chain, then all."""

    texts: Sequence[str]
    scale: tuple[float, ...] | None = None
    """Of the first chain."""
    thinking: list[Prompt] = field(default_factory=list)
    wording: list[Prompt] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)
    engine: str = "script"

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        (prompt,) = prompts
        thinks = bool(sampling.stop)
        (self.thinking if thinks else self.wording).append(prompt)
        text = self.texts[len(self.thinking) - 1]
        scale = self.scale if thinks and len(self.thinking) == 1 else None
        if thinks:
            self.samplings.append(sampling)
            text = text.partition(CHAIN_END)[0]
        return [Completion(text, (), (), True, scale)]

    def prompt_tokens(self, prompt: Prompt) -> int:
        return words(prompt)


def write(
    script: Script,
    level: int | None,
    *,
    about: Facts = FACTS,
    gap: int | None = None,
    last: bool = True,
    again: int = 2,
) -> WrittenReason:
    (written,) = write_reasons(
        script,
        [ReasonRequest("e1", about, level)],
        GroundingChecker(60),
        GENERATION,
        seed=3,
        max_regenerations=again,
        compose_last=last,
        max_level_gap=gap,
    )
    return written


def test_what_is_grounded_and_near_is_taken_at_once() -> None:
    script = Script([text_of(7)])
    written = write(script, 8, gap=1)
    assert (written.source, written.attempts, written.level) == ("policy", 1, 7)
    assert written.grounded
    assert written.first_grounded
    assert written.reason == f"{written.verdict} {written.why}"
    assert script.samplings[0].temperature == 0
    assert facts_cited(written, FACTS)[0] == FACTS.arguments[0]
    assert write(Script([text_of(7)]), None, gap=0).source == "policy", "no level is known"
    assert write(Script([text_of(7)]), 2).source == "policy", "no gap is set"


def test_the_second_step_may_word_what_the_first_cites() -> None:
    script = Script([text_of(7)])
    write(script, 8)
    (asked,) = script.wording
    assert asked.messages == script.thinking[0].messages
    assert admits(asked.grammar, text_of(7))
    other = text_of(3)
    assert not admits(asked.grammar, other)


def test_what_is_far_is_thought_again_within_the_gap() -> None:
    script = Script([text_of(2), text_of(8)], SCALE)
    written = write(script, 8, gap=1)
    assert (written.source, written.attempts, written.level) == ("policy", 2, 8)
    assert written.first_grounded, "far from the evidence, yet grounded"
    assert written.expected_level == 2.5, "the model's own, before it was bound"
    assert script.samplings[1].temperature > 0
    free, bound = (prompt.grammar for prompt in script.thinking)
    for level in range(1, 10):
        thought = text_of(level).partition(CHAIN_END)[0] + CHAIN_END
        assert admits(free, thought)
        assert admits(bound, thought) == (7 <= level <= 9)


def test_what_misleads_is_written_again() -> None:
    balanced = completion(compose(CONTACT, 6, random_generator(1)))
    against = (CONTACT.arguments[0], CONTACT.arguments[1], CONTACT.arguments[-1])
    one_sided = completion(compose(replace(CONTACT, arguments=against), 6, random_generator(1)))
    assert not balanced.startswith("F1 A1") and one_sided.startswith("F1 A1")
    written = write(Script([one_sided, balanced]), 6, about=CONTACT)
    assert (written.source, written.attempts, written.first_grounded) == ("policy", 2, True)
    written = write(Script([one_sided] * 3), 6, about=CONTACT)
    assert (written.source, written.cited) == ("composer", ("F1", "F2", "A1"))
    assert write(Script([one_sided]), 6, about=CONTACT, last=False, again=0).source == "policy"


@pytest.mark.parametrize("text", ["", "Sure!", text_of(8) + " Watch it.", text_of(8)[:-20]])
def test_what_is_never_grounded_is_composed_at_the_evidence_s_level(text: str) -> None:
    written = write(Script([text] * 3), 8, gap=1)
    assert (written.source, written.attempts, written.level) == ("composer", 3, 8)
    assert (written.grounded, written.first_grounded) == (True, False)


def test_the_composer_keeps_the_model_s_level_where_no_other_is_known() -> None:
    assert write(Script([text_of(3) + " Watch it."] * 3), None).level == 3


def test_without_the_composer_the_last_attempt_stays_as_it_is() -> None:
    written = write(Script([text_of(8), text_of(2)]), 8, gap=0, last=False, again=0)
    assert (written.source, written.level, written.grounded) == ("policy", 8, True)
    written = write(Script(["Sure!"]), 8, last=False, again=0)
    assert (written.reason, written.grounded, written.level) == ("", False, 5)


@given(st.lists(st.tuples(st.integers(100, 900), st.integers(1, 9)), min_size=40, max_size=200))
def test_matched_cuts_give_the_levels_their_distribution(pairs: list[tuple[int, int]]) -> None:
    expected, levels = zip(*pairs, strict=True)
    cuts = matched_cuts(expected, levels)
    assert list(cuts) == sorted(cuts)
    given_levels = [bisect_right(cuts, each) + 1 for each in expected]
    order = np.argsort(expected)
    assert np.all(np.diff(np.array(given_levels)[order]) >= 0), "never against the model's order"
    if len(set(expected)) == len(expected):
        inner = [k for k in range(1, 9) if 0 < sum(each <= k for each in levels) < len(levels)]
        for level in inner:
            written = sum(each <= level for each in given_levels)
            assert written == sum(each <= level for each in levels)


def test_too_few_expected_levels_move_no_cut() -> None:
    assert matched_cuts([5.0] * 39 + [None] * 9, [9] * 48) == MIDPOINTS
