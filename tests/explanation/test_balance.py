"""What is cited stands for what was offered: composed reasons never mislead."""

from dataclasses import replace
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.explanation.balance import balance, misleads
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Facts
from tests.support.made_up_facts import CONTACT, facts

LEVELS = st.integers(1, 9)


@given(facts(), LEVELS, st.integers(0, 1000))
def test_a_composed_reason_never_misleads(given_facts: Facts, level: int, seed: int) -> None:
    cited = compose(given_facts, level, np.random.default_rng(seed)).cited
    assert not misleads(given_facts, cited, level)


@given(facts(), LEVELS, st.data())
def test_it_misleads_where_another_choice_would_not(
    given_facts: Facts, level: int, data: st.DataObject
) -> None:
    handles = list(given_facts.handles)
    offered = {letter: [h for h in handles if h[0] == letter] for letter in "FA"}
    fewest = {letter: min(1, len(of_it)) for letter, of_it in offered.items()}
    most = {"F": given_facts.cited_for, "A": given_facts.cited_against}
    choices = [
        (*offered["F"][:for_it], *offered["A"][:against])
        for for_it, against in product(*(range(fewest[at], most[at] + 1) for at in "FA"))
    ]
    cited = data.draw(st.sampled_from(choices))
    side = (level > 5) - (level < 5)
    of_side = [side * balance(given_facts, choice) for choice in (handles, cited)]
    best = max(side * balance(given_facts, choice) for choice in choices)
    assert misleads(given_facts, cited, level) == (of_side[0] > 0 > of_side[1] and best >= 0)


def test_two_small_facts_against_do_not_stand_for_more_that_speaks_for_it() -> None:
    assert misleads(CONTACT, ["F1", "A1", "A2"], 7)
    assert misleads(CONTACT, ["F1", "A1"], 7)
    assert not misleads(CONTACT, ["F1", "F2", "A1"], 7)
    assert not misleads(CONTACT, ["F1", "A1", "A2"], 3)
    assert not misleads(CONTACT, ["F1", "A1", "A2"], 5)
    assert compose(CONTACT, 7, np.random.default_rng(0)).cited == ("F1", "F2", "A1")
    without = replace(CONTACT, arguments=(*CONTACT.arguments[:2], CONTACT.arguments[-1]))
    assert not misleads(without, ["F1", "A1"], 7), "all that was offered weighs against it too"
