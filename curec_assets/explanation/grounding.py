"""Is a why sentence well formed, and is everything that it claims an offered and cited fact?

The check reads a sentence as clauses joined by connectors, both of which it knows word by word
(`clauses`, `frames`), in any combination. A clause is a claim: of a kind, with a sign, and about a
title in its role or an attribute. What is neither a clause nor a connector is unsupported: unknown
names, digits, addresses, orders to the reader, copied prompts. What a lexical check cannot see is
whether a sentence makes sense.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from curec_assets.evidence.levels import TOSS_UP
from curec_assets.explanation.clauses import (
    CLAUSES,
    NOTHING_KNOWN,
    clause_kind,
    in_words,
    texts,
)
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.frames import CONTRASTS, SUBORDINATE, connectors
from curec_assets.explanation.prompts import ParsedReason

_NEAR = 1  # steps by which a clause may over- or understate a fact
_NOTHING = "nothing"
_IT, _TITLE, _WHAT = "{it}", "{title}", "{what}"
_PIECE = re.compile(r"[^\W\d_]+(?:['’][a-z]+)?|\S")


@dataclass(frozen=True)
class Grounding:
    """The outcome of the check."""

    well_formed: bool
    unsupported: tuple[str, ...]
    """Each claim or wording that the facts and the chain do not support, in words."""

    @property
    def accepted(self) -> bool:
        """Well formed, and nothing unsupported."""
        return self.well_formed and not self.unsupported


@dataclass(frozen=True)
class _Token:
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


@dataclass(frozen=True)
class _Claim:
    meanings: tuple[tuple[str, int], ...]
    """(kind, strength) of the clauses that read like this."""
    title: str | None
    what: str | None
    text: str

    @property
    def sign(self) -> int:
        strength = self.meanings[0][1]
        return (strength > 0) - (strength < 0)

    def says(self, fact: Fact) -> bool:
        """Whether this is a claim of `fact`."""
        return (
            any(
                kind == clause_kind(fact)
                and strength * fact.strength >= 0
                and abs(strength - fact.strength) <= _NEAR
                for kind, strength in self.meanings
            )
            and (self.title is None or self.title == _plain(fact.value))
            and (self.what is None or self.what == in_words(fact).lower())
        )


@dataclass
class _Reading:
    """A sentence as claims, and what stands before, between and after them."""

    claims: list[_Claim] = field(default_factory=list)
    between: list[list[_Token]] = field(default_factory=lambda: [[]])


class GroundingChecker:
    """Checks why sentences against facts and chains."""

    def __init__(self, max_words: int) -> None:
        """`max_words`: a longer sentence is not well formed; a title counts as one word."""
        self._max_words = max_words

    def check(self, parsed: ParsedReason, facts: Facts) -> Grounding:
        """Compare the why sentence with the facts and with what the chain cites."""
        tokens = _tokens(parsed.why, facts)
        reading = _read(tokens, facts)
        claims_errors, repeated = _claim_errors(reading, parsed.cited, facts)
        unsupported = [*claims_errors, *_wording_errors(reading)]
        if not reading.claims:
            unsupported.append("no claim")
        title = _plain(facts.title)
        named = sum(token.title == title for token in tokens)
        namesakes = sum(_plain(fact.value) == title for fact in facts.arguments)
        words = sum(token.is_word or token.is_name for token in tokens)
        well_formed = (
            bool(reading.claims)
            and not repeated
            and words <= self._max_words
            and parsed.why[-1] in ".!?"
            and "\n" not in parsed.why
            and named <= 1 + namesakes
            and _capitals(tokens)
            and _whole_sentences(reading)
        )
        return Grounding(well_formed, tuple(dict.fromkeys(unsupported)))


def agreement(parsed: ParsedReason, facts: Facts) -> float:
    """Disagreement of a level with the arguments that are cited for it: 0 (none) to 1.

    The cited facts' balance, -1 (all against) to 1 (all for), by strength. A level that is no
    toss-up disagrees as far as the balance leans to the other side, the more the further it is from
    even; a toss-up disagrees as far as one side outweighs the other by more than a half. 0 where
    the facts offer nothing for the level's own side.
    """
    handles = facts.handles
    cited = [handles[handle].strength for handle in parsed.cited if handle in handles]
    weight = sum(map(abs, cited))
    if not weight:
        return 0.0
    balance = sum(cited) / weight
    offered = {(fact.strength > 0) - (fact.strength < 0) for fact in facts.arguments}
    if parsed.level == TOSS_UP:
        return max(0.0, 2.0 * abs(balance) - 1.0) if {1, -1} <= offered else 0.0
    side = 1 if parsed.level > TOSS_UP else -1
    if side not in offered:
        return 0.0
    distance = abs(parsed.level - TOSS_UP) / (TOSS_UP - 1)
    return max(0.0, -side * balance) * (1.0 + distance) / 2.0


def _claim_errors(reading: _Reading, cited: Sequence[str], facts: Facts) -> tuple[list[str], bool]:
    """What is claimed without being offered and cited, and cited without being argued.

    Also whether something is claimed twice.
    """
    handles = facts.handles
    open_handles = [handle for handle in cited if handle in handles]
    errors = [f"{handle} is not offered" for handle in cited if handle not in handles]
    argued: list[str] = []
    repeated = False
    for claim in reading.claims:
        if claim.meanings[0][0] == _NOTHING:
            if any(fact.strength for fact in facts.arguments):
                errors.append(f"{claim.text!r}, though there are facts")
            continue
        meant = [handle for handle in handles if claim.says(handles[handle])]
        fresh = [handle for handle in meant if handle in open_handles and handle not in argued]
        if fresh:
            argued.append(fresh[0])
        elif any(handle in argued for handle in meant):
            repeated = True
        elif meant:
            errors.append(f"{claim.text!r} is not cited")
        else:
            errors.append(f"{claim.text!r} is no fact")
    errors += [f"{handle} is not argued" for handle in open_handles if handle not in argued]
    nothing = sum(claim.meanings[0][0] == _NOTHING for claim in reading.claims)
    return errors, repeated or nothing > 1


def _wording_errors(reading: _Reading) -> Iterable[str]:
    last = len(reading.claims)
    for place, tokens in enumerate(reading.between):
        joined = " ".join(token.text for token in tokens)
        parts = _connectors_of([token.text.lower() for token in tokens if token.is_word])
        marks = [token for token in tokens if not token.is_word]
        if parts is None or any(mark.text not in ",;:.!?" for mark in marks) or _doubled(tokens):
            yield f"wording {joined!r}"
        elif 0 < place < last and any(part in CONTRASTS for part in parts):
            before, after = reading.claims[place - 1], reading.claims[place]
            if before.sign * after.sign > 0:
                yield f"{joined!r} contrasts what agrees"


def _connectors_of(words: Sequence[str]) -> tuple[str, ...] | None:
    """One or two connectors that make up `words`; None when they do not."""
    known = connectors()
    whole = " ".join(words)
    if whole in known:
        return (whole,)
    for cut in range(1, len(words)):
        first, second = " ".join(words[:cut]), " ".join(words[cut:])
        if first in known and second in known:
            return first, second
    return None


def _doubled(tokens: Sequence[_Token]) -> bool:
    return any(
        not one.is_word and not other.is_word
        for one, other in pairwise(tokens)
    )


def _capitals(tokens: Sequence[_Token]) -> bool:
    """A capital begins every sentence, and stands nowhere else."""
    begins = True
    for token in tokens:
        if token.is_word and (
            token.text[0].isupper() != begins or token.text[1:] != token.text[1:].lower()
        ):
            return False
        begins = token.ends
    return True


def _whole_sentences(reading: _Reading) -> bool:
    """No sentence is a mere subordinate clause."""
    closing = [any(token.ends for token in tokens) for tokens in reading.between]
    for place, tokens in enumerate(reading.between[:-1]):
        starts = place == 0 or closing[place]
        ends = reading.between[place + 1]
        words = " ".join(token.text.lower() for token in tokens if token.is_word)
        trailing = any(token.is_word for token in ends)
        if starts and words in SUBORDINATE and closing[place + 1] and not trailing:
            return False
    return True


def _tokens(text: str, facts: Facts) -> list[_Token]:
    """Words, marks, quoted titles and attributes in words of `text`."""
    text = _plain(text)
    titles = {_plain(facts.title)} | {
        _plain(fact.value) for fact in facts.arguments if fact.kind == "related" and fact.value
    }
    whats = {in_words(fact) for fact in facts.arguments if fact.kind == "attribute"}
    named = [re.escape(f'"{title}"') for title in sorted(titles, key=len, reverse=True)]
    named += [rf"(?<!\w){re.escape(what)}(?!\w)" for what in sorted(whats, key=len, reverse=True)]
    pattern = re.compile("|".join([*named, _PIECE.pattern]), re.IGNORECASE)
    tokens = []
    for found in pattern.findall(text):
        if found[0] == '"' and found[1:-1] in titles:
            tokens.append(_Token(found, title=found[1:-1]))
        elif found.lower() in {what.lower() for what in whats}:
            tokens.append(_Token(found, what=found.lower()))
        else:
            tokens.append(_Token(found))
    return tokens


def _plain(text: str) -> str:
    return re.sub("[“”]", '"', text)


def _read(tokens: Sequence[_Token], facts: Facts) -> _Reading:
    reading = _Reading()
    place = 0
    while place < len(tokens):
        length, meanings = _longest(tokens[place:], _plain(facts.title))
        if not length:
            reading.between[-1].append(tokens[place])
            place += 1
            continue
        used = tokens[place : place + length]
        named = [t.title for t, slot in zip(used, meanings[0], strict=True) if slot == _TITLE]
        whats = [t.what for t, slot in zip(used, meanings[0], strict=True) if slot == _WHAT]
        reading.claims.append(
            _Claim(
                meanings[1],
                named[0] if named else None,
                whats[0] if whats else None,
                " ".join(token.text for token in used),
            )
        )
        reading.between.append([])
        place += length
    return reading


_Meanings = tuple[tuple[str, ...], tuple[tuple[str, int], ...]]


def _longest(tokens: Sequence[_Token], title: str) -> tuple[int, _Meanings]:
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


def _slots(token: _Token, title: str) -> list[str]:
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
    meanings: list[tuple[str, int]] = field(default_factory=list)


@lru_cache(maxsize=1)
def _clause_tree() -> _Node:
    root = _Node()
    clauses = [
        (kind, strength, template)
        for kind, by_strength in CLAUSES.items()
        for strength, templates in by_strength.items()
        for template in templates
    ]
    clauses += [(_NOTHING, 0, template) for template in NOTHING_KNOWN]
    for kind, strength, template in clauses:
        for text in texts(template):
            node = root
            for word in re.findall(r"{\w+}|[^\W\d_]+(?:['’][a-z]+)?", text):
                node = node.next.setdefault(word, _Node())
            if (kind, strength) not in node.meanings:
                node.meanings.append((kind, strength))
    return root
