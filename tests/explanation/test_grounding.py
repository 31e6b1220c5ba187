"""The check accepts what the composer writes, and nothing that the facts do not say."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.explanation.balance import balance
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grounding import GroundingChecker, disagreement
from curec_assets.explanation.prompts import ParsedReason, reason_prompt
from tests.support.made_up_facts import facts

CHECKER = GroundingChecker(90)
LEVELS = st.integers(1, 9)
SEEDS = st.integers(0, 1000)


@given(facts(), LEVELS, SEEDS)
def test_what_the_composer_writes_is_grounded(given_facts: Facts, level: int, seed: int) -> None:
    written = compose(given_facts, level, np.random.default_rng(seed))
    result = CHECKER.check(written, given_facts)
    assert result.accepted, (written, result)
    if (level - 5) * balance(given_facts, given_facts.handles) > 0:
        assert disagreement(written, given_facts) <= 0.5


def other_sign(fact: Fact) -> Fact | None:
    return replace(fact, strength=-fact.strength)


def other_title(fact: Fact) -> Fact | None:
    return replace(fact, value="Jaws") if fact.kind == "related" and fact.value else None


def other_role(fact: Fact) -> Fact | None:
    known = fact.kind == "related" and fact.value
    return replace(fact, liked=not fact.liked) if known else None


def other_attribute(fact: Fact) -> Fact | None:
    return replace(fact, value="western") if fact.kind in ("attribute", "reviews") else None


def other_kind(fact: Fact) -> Fact | None:
    return Fact("trend" if fact.kind == "crowd" else "crowd", fact.strength)


Change = Callable[[Fact], Fact | None]


@pytest.mark.parametrize(
    "change", [other_sign, other_title, other_role, other_attribute, other_kind]
)
@given(given_facts=facts(), level=LEVELS, seed=SEEDS, data=st.data())
def test_a_changed_claim_is_refused(
    change: Change, given_facts: Facts, level: int, seed: int, data: st.DataObject
) -> None:
    """The sentence is written from facts of which one was changed, and the chain cites the true."""
    kinds = {fact.kind for fact in given_facts.arguments}
    changes = [
        (fact, changed)
        for fact in given_facts.arguments
        if fact.strength and (changed := change(fact)) is not None
        if change is not other_kind or changed.kind not in kinds
    ]
    if not changes:
        return
    fact, changed = data.draw(st.sampled_from(changes))
    # First of its side, so that it is told.
    others = [each for each in given_facts.arguments if each is not fact]
    lying = replace(given_facts, arguments=(changed, *others))
    told = compose(lying, 5 + 4 * (1 if changed.strength > 0 else -1), np.random.default_rng(seed))
    true = [fact if lying.handles[each] is changed else lying.handles[each] for each in told.cited]
    assert fact in true
    cited = tuple(
        handle
        for handle, offered in given_facts.handles.items()
        if any(offered is each for each in true)
    )
    result = CHECKER.check(replace(told, cited=cited, level=level), given_facts)
    assert result.unsupported, (told, given_facts)


@given(facts(), LEVELS, SEEDS)
def test_what_is_argued_is_cited_and_what_is_cited_is_argued(
    given_facts: Facts, level: int, seed: int
) -> None:
    written = compose(given_facts, level, np.random.default_rng(seed))
    for handle in given_facts.handles:
        cited = (
            tuple(each for each in written.cited if each != handle)
            if handle in written.cited
            else (*written.cited, handle)
        )
        assert not CHECKER.check(replace(written, cited=cited), given_facts).accepted
    assert not CHECKER.check(replace(written, cited=(*written.cited, "F99")), given_facts).accepted


FACTS = Facts(
    "Heat",
    ("crime", "Al Pacino"),
    (
        Fact("crowd", 3),
        Fact("related", 2, "Léon", liked=True),
        Fact("habit", -2),
        Fact("attribute", -1, "crime", attribute="genre"),
    ),
)
CITED = ("F1", "F2", "A1")
GOOD = (
    'Most people who rated "Heat" liked it, and people who liked "Léon" as you did took to it '
    "more than the rest, though you are hard to please."
)


def check(why: str, cited: tuple[str, ...] = CITED) -> bool:
    return CHECKER.check(ParsedReason(cited, 7, why), FACTS).accepted


@pytest.mark.parametrize(
    "why",
    [
        GOOD,
        GOOD.replace('"', "“", 1).replace('"', "”", 1),
        GOOD.replace(", though", "; even so,"),
        "You are hard to please. However, it is widely liked, and also others who enjoyed "
        '"Léon" as you did thought more of it than most people did.'.replace(" also", " besides"),
        'Though you are hard to please, people rate "Heat" highly; what is more, it went down '
        'far better than usual with those who liked "Léon" as you did!',
    ],
)
def test_another_order_and_other_wordings_are_accepted(why: str) -> None:
    assert check(why), CHECKER.check(ParsedReason(CITED, 7, why), FACTS)


@pytest.mark.parametrize(
    "why",
    [
        "",
        ".",
        "...",
        "is ok",
        "It is ok.",
        "F1 F2 A1 likely rather",
        "You will like it.",
        GOOD[:-1],
        GOOD.lower(),
        GOOD.upper(),
        GOOD + " " + GOOD,
        GOOD.replace(", though you are hard to please", ""),
        GOOD.replace("Heat", "Jaws"),
        GOOD.replace("Léon", "Jaws"),
        GOOD.replace("Léon", "Heat"),
        GOOD.replace("who liked", "who disliked"),
        GOOD.replace("more than the rest", "far less than the rest"),
        GOOD.replace("hard to please", "easy to please"),
        GOOD.replace("though", "and"),
        GOOD.replace("you are hard", "you are really hard"),
        GOOD.replace(".", ", as 7 of 9 did."),
        GOOD.replace(".", ", and Robert De Niro is in it."),
        GOOD.replace(".", ", and you seldom like the crime genre."),
        GOOD.replace(".", ", and you seldom like the western genre."),
        GOOD.replace(".", ". Watch it tonight."),
        GOOD.replace(".", ". Write to me@example.com."),
        GOOD.replace(".", ".\nItem: Heat (crime)"),
        GOOD.replace(".", ".<|im_end|>"),
        GOOD.replace("Most", "Most most"),
        "and and but though, besides, " + GOOD,
        reason_prompt(FACTS).messages[-1][1],
        "Nothing in particular speaks for or against it.",
        "Though you are hard to please.",
    ],
)
def test_what_is_not_a_grounded_sentence_is_refused(why: str) -> None:
    accepted = check(why)
    if why == GOOD.replace("though", "and"):
        assert accepted, "sides may be joined without a contrast"
    else:
        assert not accepted


@pytest.mark.parametrize(("count", "of"), [(7, 9), (4, 9), (2, 2), (None, None)])
def test_a_majority_is_claimed_only_where_there_is_one(count: int | None, of: int | None) -> None:
    offered = Facts("Heat", (), (Fact("like_minded", 1, count=count, of=of),))
    mostly = ParsedReason(("F1",), 6, 'People like you mostly liked "Heat".')
    assert CHECKER.check(mostly, offered).accepted == (count == 7)
    written = {compose(offered, 6, np.random.default_rng(seed)).why for seed in range(60)}
    assert any("mostly liked" in why for why in written) == (count == 7)


def test_contrasts_are_between_sides() -> None:
    why = 'Most people who rated "Heat" liked it, though you are hard to please.'
    assert check(why, ("F1", "A1"))
    why = "You are hard to please, but you are slightly wary of the crime genre."
    assert not check(why, ("A1", "A2"))


def test_a_sentence_that_is_too_long_is_not_well_formed() -> None:
    parsed = ParsedReason(CITED, 7, GOOD)
    words = len(GOOD.split())
    assert GroundingChecker(words).check(parsed, FACTS).well_formed
    assert not GroundingChecker(words - 1).check(parsed, FACTS).well_formed


@pytest.mark.parametrize(
    ("cited", "level", "low", "high"),
    [
        (("F1", "F2", "A1"), 9, 0.0, 0.0),
        (("A1",), 9, 1.0, 1.0),
        (("A1",), 6, 0.6, 0.7),
        (("F1", "F2"), 1, 1.0, 1.0),
        (("F2", "A1"), 5, 0.0, 0.0),
        (("F1",), 5, 1.0, 1.0),
        (("A1",), 2, 0.0, 0.0),
    ],
)
def test_a_level_disagrees_with_arguments_for_the_other_side(
    cited: tuple[str, ...], level: int, low: float, high: float
) -> None:
    assert low <= disagreement(ParsedReason(cited, level, ""), FACTS) <= high
