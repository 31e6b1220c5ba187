"""What the composer writes: the strongest facts, in varied and honest English."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.frames import FRAMES
from curec_assets.explanation.grammar import chain_grammar
from curec_assets.explanation.naming import in_words
from curec_assets.explanation.prompts import chain, completion, parse_reason
from curec_assets.explanation.reading import skeleton
from tests.support.grammars import admits
from tests.support.made_up_facts import facts

LEVELS = st.integers(1, 9)
SEEDS = st.integers(0, 1000)


@given(facts(), LEVELS, SEEDS)
def test_a_composed_chain_is_in_the_grammar_and_read_back(
    given_facts: Facts, level: int, seed: int
) -> None:
    written = compose(given_facts, level, np.random.default_rng(seed))
    assert admits(chain_grammar(given_facts), chain(written.cited, level))
    assert parse_reason(completion(written)) == written


@given(facts(), LEVELS, SEEDS)
def test_the_strongest_facts_of_the_level_s_side_are_cited(
    given_facts: Facts, level: int, seed: int
) -> None:
    cited = compose(given_facts, level, np.random.default_rng(seed)).cited
    handles = list(given_facts.handles)
    for letter in "FAN":
        of_side = [handle for handle in cited if handle[0] == letter]
        offered = [handle for handle in handles if handle[0] == letter]
        assert of_side == offered[: len(of_side)]
    if level == 5:
        assert ("F1" in handles) == ("F1" in cited)
        assert ("A1" in handles) == ("A1" in cited)
    else:
        own = "F1" if level > 5 else "A1"
        assert (own in handles) == (own in cited), "never only arguments against a 'very likely'"


@given(facts())
def test_what_is_cited_gives_no_level_away(given_facts: Facts) -> None:
    """But where a level's side has no fact at all."""
    letters = {handle[0] for handle in given_facts.handles}
    levels = [level for level in range(1, 10) if level == 5 or "AF"[level > 5] in letters]
    chains = {compose(given_facts, level, np.random.default_rng(0)).cited for level in levels}
    assert len(chains) <= 1


@given(facts(), LEVELS, SEEDS)
def test_no_digit_and_no_slot_is_left_in_a_sentence(
    given_facts: Facts, level: int, seed: int
) -> None:
    why = compose(given_facts, level, np.random.default_rng(seed)).why
    names = [f'"{given_facts.title}"', *(f'"{f.value}"' for f in given_facts.arguments)]
    names += [in_words(f) for f in given_facts.arguments if f.kind == "attribute"]
    for name in sorted(names, key=len, reverse=True):
        why = why.replace(name, "…")
    assert not re.search(r"[\d{}()|]", why), why
    assert re.match(r"[A-Z…].*[.]$", why)


def real_looking(random: np.random.Generator) -> tuple[Facts, int]:
    """Facts as they were found on real data: six or seven, most of them slight."""
    kinds = ["crowd", "trend", "like_minded", "related", "attribute", "taste", "habit", "lately"]
    found = []
    for kind in random.permutation(kinds)[: int(random.integers(5, 9))]:
        strength = int(random.choice([1, 1, 1, 2, 2, 3]) * random.choice([-1, 1]))
        number = int(random.integers(500))
        if kind == "related":
            found.append(Fact("related", strength, f"Item {number}", bool(random.integers(2))))
        elif kind == "attribute":
            value = str(random.choice(["drama", "action", "comedy", "crime", "horror"]))
            found.append(Fact("attribute", strength, value, attribute="genre"))
        else:
            found.append(Fact(str(kind), strength))
    found.sort(key=lambda fact: -abs(fact.strength))
    lean = sum(fact.strength for fact in found)
    return Facts(f"Item {int(random.integers(500))}", (), tuple(found)), min(9, max(1, 5 + lean))


def test_no_frame_is_a_tenth_of_a_corpus_and_hardly_a_sentence_is_there_twice() -> None:
    random = np.random.default_rng(5)
    corpus = [
        (real, compose(real, n, random)) for real, n in (real_looking(random) for _ in range(1500))
    ]
    frames = Counter(skeleton(written.why, real) for real, written in corpus)
    assert max(frames.values()) <= 0.1 * len(corpus), frames.most_common(3)
    assert len(frames) >= 40
    assert len({written.why for _, written in corpus}) >= 0.9 * len(corpus)


def test_there_are_at_least_forty_frames() -> None:
    assert sum(len(set(frames)) for frames in FRAMES.values()) >= 40
    assert min(map(len, FRAMES.values())) > 10, "a corpus may need one shape only"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), r"\b(little|nothing|Nothing|Little)\b"),
        ((Fact("new_item", 0),), r"rated|unknown"),
        ((Fact("crowd", -2),), r"\b(balance|decide|weighs little|not much more)\b"),
    ],
)
def test_little_knowledge_is_admitted(arguments: tuple[Fact, ...], says: str) -> None:
    for seed in range(20):
        why = compose(Facts("Heat", (), arguments), 8, np.random.default_rng(seed)).why
        assert re.search(says, why), why


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("genre", "comedy", "the comedy genre"),
        ("categories", "toys", "the toys category"),
        ("director", "Steven Spielberg", "Steven Spielberg"),
        ("main_actors", "Tom Hanks", "Tom Hanks"),
        ("actor", "The People", "things with The People"),
        ("country", "USA", "things from the USA"),
        ("country", "France", "things from France"),
        ("brand", "Acme", "things from Acme"),
        ("colour", "red", "things labelled red"),
        ("", "red", "things labelled red"),
    ],
)
def test_attributes_of_any_kind_are_named(attribute: str, value: str, words: str) -> None:
    assert in_words(Fact("attribute", 1, value, attribute=attribute)) == words
