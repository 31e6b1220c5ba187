"""Whatever the grammar of sentences admits is well formed and says only what its chain cites."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import chain, parse_reason, reason_prompt
from curec_assets.explanation.wording import reason_grammar, wording_prompt
from tests.support.grammars import admits
from tests.support.made_up_facts import facts

_PARTS = re.compile(r'"((?:[^"\\]|\\.)*)"|([a-z]\w*)|([|()])')


def text_of(grammar: str, random: np.random.Generator) -> str:
    """A random text of a grammar of literals, rules, choices and groups."""
    rules = dict(line.split(" ::= ", 1) for line in grammar.splitlines())

    def of_rule(name: str) -> str:
        options: list[str] = [""]
        depth_start: list[list[str]] = []
        for literal, rule, mark in _PARTS.findall(rules[name]):
            if mark == "(":
                depth_start.append(options)
                options = [""]
            elif mark == ")":
                inner = options[int(random.integers(len(options)))]
                options = depth_start.pop()
                options[-1] += inner
            elif mark == "|":
                options.append("")
            elif rule:
                options[-1] += of_rule(rule)
            else:
                options[-1] += re.sub(
                    r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], literal
                )
        return options[int(random.integers(len(options)))]

    return of_rule("root")


def cited_at_random(
    given_facts: Facts, random: np.random.Generator, most: int = 2
) -> tuple[str, ...]:
    cited = []
    for side, of_side in (("F", most), ("A", most), ("N", 1)):
        offered = [handle for handle in given_facts.handles if handle[0] == side]
        count = int(random.integers(0, min(of_side, len(offered)) + 1))
        places = sorted(random.permutation(len(offered))[:count].tolist())
        cited += [offered[place] for place in places]
    return tuple(cited) or tuple(given_facts.handles)[:1]


@given(facts(), st.integers(1, 9), st.integers(0, 1000))
def test_every_sentence_is_grounded_whatever_is_cited(
    given_facts: Facts, level: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    cited = cited_at_random(given_facts, random)
    grammar = reason_grammar(given_facts, cited, level)
    text = text_of(grammar, random)
    assert admits(grammar, text), text
    parsed = parse_reason(text)
    assert parsed is not None
    assert (parsed.cited, parsed.level) == (cited, level)
    result = GroundingChecker(90).check(parsed, given_facts)
    assert result.accepted, (parsed, result)


@given(facts(), st.integers(1, 9), st.integers(0, 1000))
def test_free_wording_holds_the_chain_alone(given_facts: Facts, level: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    written = compose(given_facts, level, random)
    asked = reason_prompt(given_facts, seed=seed)
    free = wording_prompt(asked, given_facts, written.cited, level, free=True)
    assert (free.messages, free.seed) == (asked.messages, asked.seed)
    assert admits(free.grammar, chain(written.cited, level))
    assert not admits(free.grammar, chain(written.cited, level % 9 + 1))
