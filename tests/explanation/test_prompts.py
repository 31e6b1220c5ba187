"""Prompts: one fact a line on one scale; no number, no level, no outcome; chains read back."""

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grammar import chain_grammar
from curec_assets.explanation.levels import CHAIN_WORDS, VERDICTS
from curec_assets.explanation.prompts import (
    ParsedReason,
    chain,
    completion,
    parse_reason,
    reason_prompt,
    verdict_prompt,
)
from tests.support.grammars import admits
from tests.support.made_up_facts import facts

FACTS = Facts(
    "Fargo",
    ("crime", "drama"),
    (
        Fact("related", 3, "Gattaca", liked=True, count=7, of=9, contribution=0.81),
        Fact("crowd", -2, count=3, of=14, contribution=-0.31),
        Fact("attribute", 1, "crime", attribute="genre"),
        Fact("new_item", 0, of=2),
    ),
    note="stricter than the crowd; likes comedy more; likes none less",
)


def test_a_prompt() -> None:
    assert reason_prompt(FACTS).messages[-1][1].splitlines() == [
        "Cite facts, judge, explain.",
        "Taste: stricter than the crowd; likes comedy more; likes none less",
        "Item: Fargo (crime, drama)",
        'F1 you liked "Gattaca": strongly for',
        "F2 the crime genre: slightly for",
        "A1 the crowd: against",
        "N1 hardly anyone has rated it",
    ]


@given(facts(), st.integers(0, 99), st.floats(-3, 3))
def test_numbers_behind_facts_are_in_no_prompt(
    given_facts: Facts, count: int, contribution: float
) -> None:
    numbered = replace(
        given_facts,
        arguments=tuple(
            replace(fact, count=count, of=2 * count, contribution=contribution)
            for fact in given_facts.arguments
        ),
    )
    assert reason_prompt(numbered) == reason_prompt(given_facts)
    assert verdict_prompt(numbered) == verdict_prompt(given_facts)


@given(facts(), st.data())
def test_the_grammar_admits_just_what_may_be_cited(given_facts: Facts, data: st.DataObject) -> None:
    handles = list(given_facts.handles)
    cited = [each for each in handles if data.draw(st.booleans())]
    most = {"F": given_facts.cited_for, "A": given_facts.cited_against, "N": 1}
    within = all(sum(each[0] == side for each in cited) <= most[side] for side in most)
    allowed = within and (bool(cited) or not handles)
    text = chain(cited, data.draw(st.integers(1, 9)))
    assert admits(chain_grammar(given_facts), text) == allowed
    assert not admits(chain_grammar(given_facts), text.replace(" ", " F99 ", 1))


@given(st.integers(1, 9), st.sets(st.integers(1, 9), min_size=1))
def test_the_grammar_admits_just_the_levels_that_it_is_given(level: int, levels: set[int]) -> None:
    text = chain(("F1",), level)
    assert admits(chain_grammar(FACTS, sorted(levels)), text) == (level in levels)
    assert reason_prompt(FACTS, levels=levels).messages == reason_prompt(FACTS).messages


@given(facts(), st.integers(1, 9), st.text(st.characters(exclude_characters="\n"), max_size=30))
def test_a_completion_is_read_back(given_facts: Facts, level: int, why: str) -> None:
    written = ParsedReason(tuple(given_facts.handles), level, why.strip())
    assert parse_reason(completion(written)) == written
    assert written.verdict == VERDICTS[level - 1]
    assert parse_reason(completion(written).replace("\n", " ")) is None


def test_levels_differ_in_chains_and_in_sentences() -> None:
    assert len(set(CHAIN_WORDS)) == len(set(VERDICTS)) == 9
    assert not any(re.search(r"\d", sentence) for sentence in VERDICTS)
