"""A why sentence read as claims joined by connectors, word by word."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from curec_assets.explanation.clauses import (
    CLAUSES,
    MOSTLY,
    NOTHING_KNOWN,
    clause_kind,
    majority,
)
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.naming import in_words
from curec_assets.explanation.templates import texts

_NEAR = 1  # steps by which a clause may over- or understate a fact
NOTHING = "nothing"
_IT, _TITLE, _WHAT = "{it}", "{title}", "{what}"
_PIECE = re.compile(r"\"[^\"]+\"|[^\W\d_]+(?:['’][a-z]+)?|\S")


@dataclass(frozen=True)
class Token:
    """A word, a mark, a quoted title or an attribute in words."""

    text: str
    title: str | None = None
    """The title that it quotes, if it does."""
    what: str | None = None
    """The attribute in words that it is, if it is one."""

    @property
    def is_name(self) -> bool:
        """Whether it names an item or an attribute."""
        return self.title is not None or self.what is not None

    @property
    def is_word(self) -> bool:
        """Whether it is a word of the sentence's own."""
        return not self.is_name and self.text[0].isalpha()

    @property
    def ends(self) -> bool:
        """Whether it ends a sentence."""
        return not self.is_name and self.text in ".!?"


class Meaning(NamedTuple):
    """What a clause says."""

    kind: str
    strength: int
    """Where it claims a majority, 1 or -1."""
    mostly: bool = False
    """Whether it claims a majority."""

    def fits(self, fact: Fact) -> bool:
        """Whether `fact` is of this kind and sign, and as strong or as common as is claimed."""
        if self.kind != clause_kind(fact) or self.strength * fact.strength < 0:
            return False
        if self.mostly:
            return majority(fact) == self.strength
        return abs(self.strength - fact.strength) <= _NEAR


@dataclass(frozen=True)
class Claim:
    """A clause of a sentence: what it says, and of what."""

    meanings: tuple["Meaning", ...]
    """What the clauses that read like this say."""
    title: str | None
    """The user's item that it names, if its clause names one."""
    what: str | None
    """The attribute in words that it names, if its clause names one."""
    text: str

    @property
    def sign(self) -> int:
        """1 for the item, -1 against it, 0 neither."""
        strength = self.meanings[0].strength
        return (strength > 0) - (strength < 0)

    def says(self, fact: Fact) -> bool:
        """Whether this is a claim of `fact`."""
        return (
            any(meaning.fits(fact) for meaning in self.meanings)
            and (self.title is None or self.title == plain(fact.value))
            and (self.what is None or self.what == in_words(fact).lower())
        )


@dataclass
class Reading:
    """A sentence as claims, and what stands before, between and after them."""

    claims: list[Claim] = field(default_factory=list)
    between: list[list[Token]] = field(default_factory=lambda: [[]])


def tokens_of(text: str, facts: Facts) -> list[Token]:
    """Words, marks, quoted titles (offered or not) and attributes in words of `text`."""
    text = plain(text)
    titles = {plain(facts.title)} | {
        plain(fact.value) for fact in facts.arguments if fact.kind == "related" and fact.value
    }
    whats = {in_words(fact) for fact in facts.arguments if fact.kind in ("attribute", "reviews")}
    named = [re.escape(f'"{title}"') for title in sorted(titles, key=len, reverse=True)]
    named += [rf"(?<!\w){re.escape(what)}(?!\w)" for what in sorted(whats, key=len, reverse=True)]
    pattern = re.compile("|".join([*named, _PIECE.pattern]), re.IGNORECASE)
    tokens = []
    for found in pattern.findall(text):
        if len(found) > 2 and found[0] == found[-1] == '"':
            tokens.append(Token(found, title=found[1:-1]))
        elif found.lower() in {what.lower() for what in whats}:
            tokens.append(Token(found, what=found.lower()))
        else:
            tokens.append(Token(found))
    return tokens


def plain(text: str) -> str:
    """`text` with straight quotation marks."""
    return re.sub("[“”]", '"', text)


def read(tokens: Sequence[Token], facts: Facts) -> Reading:
    """The claims of a sentence: at every word the longest clause that begins there, if any."""
    reading = Reading()
    place = 0
    while place < len(tokens):
        length, meanings = _longest(tokens[place:], plain(facts.title))
        if not length:
            reading.between[-1].append(tokens[place])
            place += 1
            continue
        used = tokens[place : place + length]
        named = [t.title for t, slot in zip(used, meanings[0], strict=True) if slot == _TITLE]
        whats = [t.what for t, slot in zip(used, meanings[0], strict=True) if slot == _WHAT]
        reading.claims.append(
            Claim(
                meanings[1],
                named[0] if named else None,
                whats[0] if whats else None,
                " ".join(token.text for token in used),
            )
        )
        reading.between.append([])
        place += length
    return reading


def skeleton(why: str, facts: Facts) -> str:
    """The frame of a sentence: its connectors and marks, with each clause by its sign."""
    reading = read(tokens_of(why, facts), facts)
    signs = ["…" if not claim.sign else "+" if claim.sign > 0 else "-" for claim in reading.claims]
    between = [" ".join(token.text.lower() for token in part) for part in reading.between]
    joined = [part for pair in zip(between, [*signs, ""], strict=True) for part in pair]
    return " ".join(filter(None, joined))


_Meanings = tuple[tuple[str, ...], tuple[Meaning, ...]]


def _longest(tokens: Sequence[Token], title: str) -> tuple[int, _Meanings]:
    """Length and (slots, meanings) of the longest clause that `tokens` begin with; 0 if none."""
    best: tuple[int, _Meanings] = (0, ((), ()))
    paths: list[tuple[_Node, tuple[str, ...]]] = [(_clause_tree(), ())]
    for place, token in enumerate(tokens):
        steps = []
        for node, slots in paths:
            for slot in _slots(token, title):
                if slot in node.next:
                    steps.append((node.next[slot], (*slots, slot)))
        paths = steps
        for node, slots in paths:
            if node.meanings:
                best = (place + 1, (slots, tuple(node.meanings)))
        if not paths:
            break
    return best


def _slots(token: Token, title: str) -> list[str]:
    """What a token may stand for in a clause."""
    if token.what is not None:
        return [_WHAT]
    if token.title is not None:
        return [_IT, _TITLE] if token.title == title else [_TITLE]
    word = token.text.lower()
    return [_IT, word] if word == "it" else [word]


@dataclass
class _Node:
    """A word of clauses that begin alike."""

    next: dict[str, "_Node"] = field(default_factory=dict)
    meanings: list[Meaning] = field(default_factory=list)


@lru_cache(maxsize=1)
def _clause_tree() -> _Node:
    root = _Node()
    clauses = [
        (Meaning(kind, strength, mostly), template)
        for table, mostly in ((CLAUSES, False), (MOSTLY, True))
        for kind, by_strength in table.items()
        for strength, templates in by_strength.items()
        for template in templates
    ]
    clauses += [(Meaning(NOTHING, 0), template) for template in NOTHING_KNOWN]
    for meaning, template in clauses:
        for text in texts(template):
            node = root
            for word in re.findall(r"{\w+}|[^\W\d_]+(?:['’][a-z]+)?", text):
                node = node.next.setdefault(word, _Node())
            if meaning not in node.meanings:
                node.meanings.append(meaning)
    return root
