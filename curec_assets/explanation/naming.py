"""Attributes in words: "the comedy genre", "things from France", "Steven Spielberg"; and what
reviews speak of: "the story".

Items are anything, so no noun says what they are. The kind of the attribute decides, as far as its
name tells what it is.
"""

import re
from functools import lru_cache

from curec_assets.explanation.clauses import CLAUSES, MOSTLY, NOTHING_KNOWN
from curec_assets.explanation.facts import Fact
from curec_assets.explanation.frames import connectors

_PLACES_AND_TIMES = frozenset(
    ("country", "nationality", "origin", "region", "place", "decade", "year", "era", "period")
)
_MAKERS = frozenset(
    ("brand", "label", "maker", "manufacturer", "publisher", "studio", "producer", "seller", "shop")
)
_PEOPLE = frozenset(
    ("actor", "actress", "cast", "star", "director", "writer", "author", "artist", "composer")
) | {"singer", "band", "performer", "creator", "designer", "person", "people"}
_SORTS = frozenset(("genre", "category", "style", "class", "department", "section"))
_WITH_ARTICLE = re.compile(r"\d+s$|United |U\.?S|U\.?K")


def in_words(fact: Fact) -> str:
    """The attribute of `fact` as prompts and sentences name it.

    A person whose name is made of the sentences' own words gets a noun, to be told from them, and
    so does what reviews speak of.
    """
    if fact.kind == "reviews":
        return f"the {fact.value}" + (" itself" if fact.value in _behind_the() else "")
    kind = _kind(fact.attribute)
    value = fact.value
    if kind in _PEOPLE:
        return value if set(_words(value)) - vocabulary() else f"things with {value}"
    if kind in _SORTS:
        return f"the {value} {kind}"
    if kind in _PLACES_AND_TIMES or kind in _MAKERS:
        return f"things from {'the ' if _WITH_ARTICLE.match(value) else ''}{value}"
    return f"things labelled {value}"


def _kind(attribute: str) -> str:
    """The last word of an attribute's name, in the singular."""
    words = re.findall(r"[a-z]+", attribute.lower())
    word = words[-1] if words else ""
    known = word in _SORTS or not word.endswith("s")
    return word if known else f"{word[:-3]}y" if word.endswith("ies") else word[:-1]


@lru_cache(maxsize=1)
def vocabulary() -> frozenset[str]:
    """Every word of every clause, in lower case."""
    return frozenset(_words(" it ".join(re.split(r"{\w+}", _clauses()))))


@lru_cache(maxsize=1)
def _behind_the() -> frozenset[str]:
    """Words that sentences themselves have behind `the`."""
    return frozenset(re.findall(r"\bthe (\w+)", " ".join([_clauses(), *connectors()])))


def _clauses() -> str:
    templates = [
        template
        for by_strength in (*CLAUSES.values(), *MOSTLY.values())
        for clauses in by_strength.values()
        for template in clauses
    ]
    return " ".join([*templates, *NOTHING_KNOWN])


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())
