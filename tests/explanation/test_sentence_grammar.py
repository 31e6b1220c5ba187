"""Whatever the narrower grammar admits, the grounding check accepts."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import ParsedReason, parse_reason
from curec_assets.explanation.sentence_grammar import sentence_grammar
from tests.support.grammars import admits
from tests.support.made_up_facts import facts

_PARTS = re.compile(r'"((?:[^"\\]|\\.)*)"|(\w+)')


def sentence_of(grammar: str, random: np.random.Generator) -> str:
    """A text of a grammar of literals, names, sequences and choices."""
    rules: dict[str, list[list[tuple[str, str]]]] = {}
    for line in grammar.splitlines():
        name, _, body = line.partition(" ::= ")
        rules[name] = [[]]
        place = 0
        for part in _PARTS.finditer(body):
            if "|" in body[place : part.start()]:
                rules[name].append([])
            rules[name][-1].append((part[1] or "", part[2] or ""))
            place = part.end()

    def text(name: str) -> str:
        options = rules[name]
        chosen = options[int(random.integers(len(options)))]
        return "".join(
            text(rule) if rule else re.sub(r"\\(.)", lambda c: "\n" if c[1] == "n" else c[1], words)
            for words, rule in chosen
        )

    return text("root")


@given(facts(), st.integers(1, 9), st.integers(0, 1000))
def test_every_sentence_is_grounded_whatever_the_level(
    given_facts: Facts, level: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    cited = compose(given_facts, int(random.integers(1, 10)), random).cited
    grammar = sentence_grammar(ParsedReason(cited, level, ""), given_facts)
    if grammar is None:
        return
    text = sentence_of(grammar, random)
    assert admits(grammar, text)
    parsed = parse_reason(text)
    assert parsed is not None
    assert (parsed.cited, parsed.level) == (cited, level)
    result = GroundingChecker(90).check(parsed, given_facts)
    assert result.accepted, (parsed, result)


def test_what_no_frame_holds_has_no_grammar() -> None:
    offered = Facts("Heat", (), (Fact("crowd", 2), Fact("habit", 1)))
    assert sentence_grammar(ParsedReason(("F1", "F2"), 8, ""), offered) is not None
    assert sentence_grammar(ParsedReason(("F1", "F2"), 2, ""), offered) is None
    assert sentence_grammar(ParsedReason(("F9",), 8, ""), offered) is None
