"""Is a reason well formed, and is everything that it claims in its prompt?

A claim is: a title, a name, an attribute, the role of a history item (liked or disliked), and that
an item shares an attribute. The check is lexical and strict: what it cannot find in the facts it
counts as unsupported. It knows the catalogue's titles and attribute values, and treats every other
capitalised phrase inside a sentence as a name. A well-formed reason is one line that ends as a
sentence does and names the item or a history item, none of them twice. What a lexical check cannot
see is whether a sentence makes sense.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from curec_assets.explanation.composer import WORDING
from curec_assets.explanation.facts import Catalogue, Facts, HistoryItem
from curec_assets.explanation.grammar import NONE

_SENTENCE = re.compile(r"[^.!?]+[.!?]*")
_WORD = r"[A-Z0-9][\w'’:-]*"
_NAME = re.compile(rf"\b{_WORD}(?:\s+(?:(?:of|the|and|in|a|to|on|de|la)\s+)*{_WORD})*")
_QUOTED = re.compile(r'["“]([^"”]+)["”]')
_NEGATIVE_ROLE = re.compile(r"\b(dislik\w*|did(?:n't| not) (?:like|enjoy)|hated)\b", re.I)
_POSITIVE_ROLE = re.compile(r"\b(?<!not )(?<!n't )(liked|enjoyed|loved)\b", re.I)
_AGAINST = re.compile(r"\b(may not|might not|not for you|avoid|skip|dislik\w*)\b", re.I)
_FORM_WORDS = re.compile(r"\b(none|verdict|[Ee]vidence|Reason)\b")
_TITLE_TAG = re.compile(r"⟦(?:C|[LD]\d+)⟧")
_TAG = re.compile(r"⟦\w+⟧")
_PRONOUNS = frozenset({"I", "You", "Your", "It", "Its", "This", "That", "A", "An", "The"})


@dataclass(frozen=True)
class Grounding:
    """The outcome of the check."""

    well_formed: bool
    unsupported: tuple[str, ...]
    """Each claim that the facts do not support, in words."""

    @property
    def accepted(self) -> bool:
        """Well formed, and nothing unsupported."""
        return self.well_formed and not self.unsupported


class GroundingChecker:
    """Checks reasons against facts, knowing the catalogue's vocabulary."""

    def __init__(self, catalogue: Catalogue, max_words: int) -> None:
        """`max_words`: a longer reason is not well formed."""
        self._max_words = max_words
        titles = catalogue.titles()
        self._attributes = _phrases(
            value.lower() for value in catalogue.attribute_values() if not _is_wording(value)
        )
        # One-word titles are often common words ("It"): they count only where a name can stand.
        self._titles = _phrases(title for title in titles if " " in title)
        self._short_titles = frozenset(titles) - _PRONOUNS

    def check(self, reason: str, facts: Facts, verdict: str) -> Grounding:
        """Compare `reason` with its `facts` and with the verdict of its evidence."""
        tagged = _tag(reason, facts)
        rest = _TAG.sub("…", tagged)
        unsupported = [f"word {word!r}" for word in _FORM_WORDS.findall(rest)]
        unsupported += [f"quotation {text!r}" for text in _QUOTED.findall(rest) if _is_word(text)]
        unsupported += [f"attribute {value!r}" for value in _found(self._attributes, rest.lower())]
        unsupported += [f"title {title!r}" for title in _found(self._titles, rest)]
        unsupported += [f"name {name!r}" for name in self._names(rest)]
        for sentence in _SENTENCE.findall(tagged):
            unsupported += _role_errors(sentence, facts)
            unsupported += _sharing_errors(sentence, facts)
        if bool(_AGAINST.search(rest)) != (verdict == "dislike"):
            unsupported.append(f"speaks against its verdict {verdict!r}")
        return Grounding(
            _well_formed(reason, tagged, self._max_words), tuple(dict.fromkeys(unsupported))
        )

    def _names(self, text: str) -> list[str]:
        """Capitalised phrases that are no sentence's mere beginning."""
        unknown = []
        for sentence in _SENTENCE.findall(text):
            start = len(sentence) - len(sentence.lstrip())
            for found in _NAME.finditer(sentence):
                name = found[0]
                if found.start() == start and name not in self._short_titles:
                    # A sentence begins with a capital anyhow: judge what follows its first word.
                    name = name.partition(" ")[2]
                if name and name not in _PRONOUNS and not name.islower():
                    unknown.append(name)
        return unknown


def _well_formed(reason: str, tagged: str, max_words: int) -> bool:
    words = tagged.split()
    return (
        3 <= len(reason.split()) <= max_words
        and reason[-1] in ".!?"
        and "\n" not in reason
        and "<|" not in reason
        and not _repeats(words)
        and not _names_twice(tagged)
        and _TITLE_TAG.search(tagged) is not None
    )


def _repeats(words: list[str]) -> bool:
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return len(set(grams)) < len(grams)


def _names_twice(tagged: str) -> bool:
    titles = _TITLE_TAG.findall(tagged)
    return len(set(titles)) < len(titles)


def _role_errors(sentence: str, facts: Facts) -> Iterable[str]:
    liked, disliked = (_mentioned(sentence, facts, role) for role in ("L", "D"))
    negative = _NEGATIVE_ROLE.search(sentence)
    if disliked and not negative:
        yield f"{disliked[0].title!r} was disliked"
    if liked and negative and not _POSITIVE_ROLE.search(sentence):
        yield f"{liked[0].title!r} was liked"


def _sharing_errors(sentence: str, facts: Facts) -> Iterable[str]:
    mentioned = [*_mentioned(sentence, facts, "L"), *_mentioned(sentence, facts, "D")]
    if not mentioned:
        return
    shared = {value for item in mentioned for value in item.shared}
    for number, value in enumerate(facts.attributes):
        if f"⟦A{number}⟧" in sentence and value not in shared and not _is_wording(value):
            yield f"{value!r} is not shared with {mentioned[0].title!r}"


def _mentioned(sentence: str, facts: Facts, role: str) -> list[HistoryItem]:
    items = facts.named_liked() if role == "L" else facts.named_disliked()
    return [item for number, item in enumerate(items) if f"⟦{role}{number}⟧" in sentence]


def _tag(text: str, facts: Facts) -> str:
    """`text` with what the prompt names replaced by tags, longest names first.

    ⟦C⟧ candidate, ⟦L0⟧ liked, ⟦D0⟧ disliked, ⟦A0⟧ attribute, ⟦N⟧ an attribute of the note.
    """
    titles = [(facts.title, "C")]
    titles += [(item.title, f"L{number}") for number, item in enumerate(facts.named_liked())]
    titles += [(item.title, f"D{number}") for number, item in enumerate(facts.named_disliked())]
    for title, tag in sorted(titles, key=lambda pair: -len(pair[0])):
        text = re.sub(rf"(?<![\w⟦]){re.escape(title)}(?![\w⟧])", f"⟦{tag}⟧", text)
    values = [(value, f"A{number}") for number, value in enumerate(facts.attributes)]
    values += [(value, "N") for value in _note_values(facts.note)]
    for value, tag in sorted(values, key=lambda pair: -len(pair[0])):
        text = re.sub(rf"(?<![\w⟦]){re.escape(value)}(?![\w⟧])", f"⟦{tag}⟧", text, flags=re.I)
    return text


def _note_values(note: str) -> list[str]:
    values = re.split(r"; |, |enjoys |avoids ", note)
    return [value for value in values if value and value != NONE]


def _is_wording(value: str) -> bool:
    return set(re.findall(r"\w+", value.lower())) <= WORDING


def _is_word(text: str) -> bool:
    return any(character.isalpha() for character in text)


def _phrases(texts: Iterable[str]) -> dict[str, list[tuple[str, ...]]]:
    """First word → the phrases, as words, that begin with it."""
    index: dict[str, list[tuple[str, ...]]] = {}
    for text in texts:
        words = tuple(re.findall(r"\w+", text))
        if words:
            index.setdefault(words[0], []).append(words)
    return index


def _found(phrases: dict[str, list[tuple[str, ...]]], text: str) -> list[str]:
    """The phrases that occur in `text`."""
    words = re.findall(r"\w+", text)
    return [
        " ".join(phrase)
        for position, word in enumerate(words)
        for phrase in phrases.get(word, ())
        if tuple(words[position : position + len(phrase)]) == phrase
    ]
