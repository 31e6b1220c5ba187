"""Facts as the evidence could find them, made up: a Hypothesis strategy and its vocabulary."""

import math
from dataclasses import replace

from hypothesis import strategies as st

from curec_assets.explanation.facts import Fact, Facts

TITLES = (
    "Heat",
    "The Silent Harbor",
    "It",
    "Dr. Strangelove",
    "M*A*S*H",
    "Alien 3",
    "Léon",
    "Star Wars",
    'The "Other" Half',
    "people like you. no, really",
)
# A catalogue may call an attribute by a word that sentences are made of.
ATTRIBUTES = (
    ("genre", "comedy"),
    ("genre", "children's"),
    ("director", "Samuel L. Jackson"),
    ("actor", "Most People"),
    ("country", "USA"),
    ("decade", "1990s"),
    ("brand", "Acme 3000"),
    ("colour", "it"),
    ("", "taste"),
)
REVIEWED = ("story", "comedy", "balance", "taste", "answer", "praise", "it")
"""Words of reviews, some of which sentences are made of too."""
_LOG_ODDS = {1: (0.1, 0.3), 2: (0.3, 0.6), 3: (0.6, 2.0)}
"""Strength → how much such a fact contributes."""
KINDS = ("crowd", "trend", "like_minded", "taste", "habit", "lately")

CONTACT = Facts(
    "Contact",
    arguments=(
        Fact("attribute", -2, "drama", attribute="genre", contribution=-0.37),
        Fact("lately", 1, contribution=0.28),
        Fact("like_minded", 1, contribution=0.23),
        Fact("crowd", 1, contribution=0.20),
        Fact("related", -1, "The Rainmaker", liked=False, contribution=-0.10),
    ),
)
"""One strong fact against and many small ones for it, as it happened."""


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Facts about one of `TITLES`, strongest first."""
    titles = draw(st.permutations(TITLES))
    strengths = st.sampled_from((-3, -2, -1, 1, 2, 3))
    found = [
        Fact(kind, draw(strengths)) for kind in draw(st.lists(st.sampled_from(KINDS), unique=True))
    ]
    found += [
        Fact("related", draw(strengths), title, draw(st.booleans()))
        for title in titles[1 : 1 + draw(st.integers(0, 3))]
    ]
    found += [
        Fact("attribute", draw(strengths), value, attribute=kind)
        for kind, value in draw(st.lists(st.sampled_from(ATTRIBUTES), max_size=2, unique=True))
    ]
    found += [
        Fact("reviews", draw(strengths), value)
        for value in draw(st.lists(st.sampled_from(REVIEWED), max_size=1))
    ]
    if draw(st.booleans()) and not any(fact.kind == "related" for fact in found):
        found.append(Fact("related", draw(strengths)))
    for place, fact in enumerate(found):
        of = draw(st.none() | st.integers(0, 20))
        count = None if of is None else draw(st.integers(0, of))
        log_odds = draw(st.floats(*_LOG_ODDS[abs(fact.strength)]))
        found[place] = replace(
            fact, count=count, of=of, contribution=math.copysign(log_odds, fact.strength)
        )
    found.sort(key=lambda fact: -abs(fact.contribution))
    unknown = draw(st.lists(st.sampled_from(("new_item", "new_user")), max_size=2, unique=True))
    return Facts(
        titles[0],
        ("comedy", "Acme 3000"),
        (*found, *(Fact(kind, 0) for kind in unknown)),
        cited_for=draw(st.integers(1, 2)),
        cited_against=draw(st.integers(1, 2)),
    )
