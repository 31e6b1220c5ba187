"""The composer, the grammar and the grounding check agree on what "grounded" means."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.explanation.composer import completion, compose, compose_note
from curec_assets.explanation.facts import Catalogue, Facts, HistoryItem
from curec_assets.explanation.grammar import evidence_grammar, note_grammar
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import NoteFacts, parse_note, parse_reason

TITLES = (
    "Heat",
    "The Silent Harbor",
    "It",
    "Dr. Strangelove",
    "M*A*S*H",
    "Alien 3",
    "Léon",
    "Star Wars",
    "Wings of War",
)
VALUES = ("crime", "drama", "sci-fi", "war", "Al Pacino", "Samuel L. Jackson", "Jean Reno")
# A catalogue may call an attribute by a word that sentences are made of.
ATTRIBUTES = (*VALUES, "History", "people", "taste")


def catalogue() -> Catalogue:
    """Every title, each with some attributes."""
    return Catalogue(
        pl.DataFrame(
            {
                "item_id": [str(n) for n in range(len(TITLES))],
                "title": TITLES,
                "attributes": [
                    [{"kind": "any", "value": value} for value in ATTRIBUTES[n % 4 :]]
                    for n in range(len(TITLES))
                ],
            }
        )
    )


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    titles = draw(st.permutations(TITLES))
    attributes = tuple(draw(st.lists(st.sampled_from(ATTRIBUTES), max_size=4, unique=True)))
    items = [
        HistoryItem(title, tuple(v for v in attributes if draw(st.booleans())))
        for title in titles[1 : 1 + draw(st.integers(0, 5))]
    ]
    liked = draw(st.integers(0, len(items)))
    return Facts(
        titles[0],
        attributes,
        tuple(items[:liked]),
        tuple(items[liked:]),
        most_cited_liked=draw(st.integers(1, 2)),
        most_cited_attributes=draw(st.integers(1, 2)),
    )


@given(facts(), st.sampled_from(["like", "dislike"]), st.integers(0, 1000))
def test_what_the_composer_writes_is_grounded(given_facts: Facts, verdict: str, seed: int) -> None:
    written = compose(given_facts, verdict, np.random.default_rng(seed))
    result = GroundingChecker(catalogue(), 60).check(written.reason, given_facts, verdict)
    assert result.accepted, (written.reason, result)
    assert parse_reason(completion(written)) == written


@given(facts(), st.sampled_from(["like", "dislike"]), st.integers(0, 1000))
def test_the_grammar_admits_what_the_composer_cites(
    given_facts: Facts, verdict: str, seed: int
) -> None:
    written = compose(given_facts, verdict, np.random.default_rng(seed))
    text = completion(written)
    assert _admits(evidence_grammar(given_facts), text[: text.index("\nReason:") + 8])


@given(facts())
def test_the_grammar_admits_no_other_title_attribute_or_role(given_facts: Facts) -> None:
    grammar = evidence_grammar(given_facts)
    for liked, disliked, shared in (
        ('"Jaws"', "none", "none"),
        ("none", '"Jaws"', "none"),
        ("none", "none", "western"),
        *((f'"{item.title}"', "none", "none") for item in given_facts.disliked),
    ):
        text = (
            f"Evidence: liked {liked}; disliked {disliked}; shared {shared}; verdict like\nReason:"
        )
        assert not _admits(grammar, text)


@given(facts())
def test_no_more_is_cited_than_is_allowed(given_facts: Facts) -> None:
    grammar = evidence_grammar(given_facts)
    titles = [item.title for item in given_facts.liked[:2]]
    shared = [
        value
        for value in given_facts.attributes
        if any(value in item.shared for item in given_facts.liked[:2])
    ][:2]
    for cited in (1, 2):
        for values in (1, 2):
            if len(titles) < cited or len(shared) < values:
                continue
            liked = ", ".join(f'"{title}"' for title in titles[:cited])
            text = (
                f"Evidence: liked {liked}; disliked none; shared {', '.join(shared[:values])}; "
                "verdict like\nReason:"
            )
            within = (
                cited <= given_facts.most_cited_liked
                and values <= given_facts.most_cited_attributes
                and set(shared[:values])
                <= {v for item in given_facts.liked[:cited] for v in item.shared}
            )
            assert _admits(grammar, text) == within


@given(facts(), st.integers(0, 1000))
def test_a_shown_item_is_only_spoken_for(given_facts: Facts, seed: int) -> None:
    grammar = evidence_grammar(given_facts, only_like=True)
    for verdict in ("like", "dislike"):
        text = completion(compose(given_facts, verdict, np.random.default_rng(seed)))
        admitted = _admits(grammar, text[: text.index("\nReason:") + 8])
        assert admitted == (verdict == "like")


@given(facts())
def test_notes_have_the_form_their_grammar_asks_for(given_facts: Facts) -> None:
    for most in (1, 3):
        noted = NoteFacts(given_facts.liked, given_facts.disliked, most, most)
        text = f"Note: {compose_note(noted)}."
        assert _admits(note_grammar(noted.attributes(), most, most), text)
        assert parse_note(text) == compose_note(noted)


FACTS = Facts(
    "Heat",
    ("crime", "Al Pacino"),
    (HistoryItem("Léon", ("crime",)),),
    (HistoryItem("Star Wars", ()),),
)


@pytest.mark.parametrize(
    ("reason", "problem"),
    [
        ("Heat shares crime with Wings of War, which you liked.", "title"),
        ("Heat has Robert De Niro, and you liked Léon.", "name"),
        ("Heat brings drama, and you liked Léon.", "attribute 'drama'"),
        ("You liked Star Wars, so Heat will suit you.", "was disliked"),
        ("You disliked Léon, so Heat may not suit you.", "was liked"),
        ("Heat has Al Pacino, just like Léon that you liked.", "not shared"),
        ("Heat may not suit you, though you liked Léon.", "verdict"),
        ('Heat is like "some other film" that you liked.', "quotation"),
        ("Dr. Strangelove is like Heat.", "title"),
        ("You liked Léon, and Heat shares none with it.", "word 'none'"),
    ],
)
def test_a_claim_that_is_not_in_the_prompt_is_found(reason: str, problem: str) -> None:
    result = GroundingChecker(catalogue(), 60).check(reason, FACTS, "like")
    assert any(problem in claim for claim in result.unsupported), result


@pytest.mark.parametrize(
    "reason", ["", "Heat.", "Heat is a film without an end", "Heat is crime.\nHeat is crime too."]
)
def test_malformed_reasons_are_refused(reason: str) -> None:
    assert not GroundingChecker(catalogue(), 60).check(reason, FACTS, "like").well_formed


def test_a_free_wording_of_the_facts_is_accepted() -> None:
    for reason in (
        "Since Léon worked for you, the crime story of Heat should too.",
        "Fans of Al Pacino will find Heat rewarding.",
        "You enjoyed Léon! Heat is another crime film.",
    ):
        result = GroundingChecker(catalogue(), 60).check(reason, FACTS, "like")
        assert result.accepted, (reason, result)


def _admits(grammar: str, text: str) -> bool:
    from xgrammar import Grammar
    from xgrammar.testing import _is_grammar_accept_string

    return bool(_is_grammar_accept_string(Grammar.from_ebnf(grammar), text))
