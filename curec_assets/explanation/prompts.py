"""The chat of each of the three tasks, and how a completion is taken apart again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from curec_assets.core.provenance import digest
from curec_assets.explanation.facts import Facts, HistoryItem
from curec_assets.explanation.grammar import NONE, REASON_MARK, evidence_grammar, note_grammar
from resources.generation.protocol import Prompt

SYSTEM = "You explain recommendations. Use only the facts given."
_REASON = "Give the evidence and the reason."
_VERDICT = "Give the evidence only."
_NOTE = "Write the taste note."
_REVISE = "Rewrite the taste note."

_EVIDENCE = re.compile(
    r'^Evidence: liked (?P<liked>none|".*?"); disliked (?P<disliked>none|".*?"); '
    r"shared (?P<shared>.*?); verdict (?P<verdict>like|dislike)$"
)
_NOTE_FORM = re.compile(r"^Note: enjoys (.+); avoids (.+)\.$")


@dataclass(frozen=True)
class NoteFacts:
    """What a preference note is written from: recent history with attributes, strictly earlier."""

    liked: tuple[HistoryItem, ...]
    disliked: tuple[HistoryItem, ...]
    max_enjoyed: int = 3
    """Attributes that the note may say the user enjoys, and"""
    max_avoided: int = 2
    """avoids."""

    def attributes(self) -> tuple[str, ...]:
        """Attributes named in the prompt, in order of appearance."""
        return tuple(
            dict.fromkeys(value for item in (*self.liked, *self.disliked) for value in item.shared)
        )


@dataclass(frozen=True)
class ParsedReason:
    """A reason completion taken apart."""

    liked: tuple[str, ...]
    disliked: tuple[str, ...]
    shared: tuple[str, ...]
    verdict: str
    reason: str


def reason_prompt(facts: Facts, *, seed: int = 0, only_like: bool = False) -> Prompt:
    """Task *reason*: evidence, then one or two sentences for the user.

    `only_like`: for an item that is shown as a recommendation, see `evidence_grammar`.
    """
    grammar = evidence_grammar(facts, only_like=only_like)
    return Prompt(_chat(_facts_text(facts, _REASON)), grammar, seed)


def verdict_prompt(facts: Facts) -> Prompt:
    """Task *verdict*: the evidence alone, which ends with the verdict."""
    return Prompt(_chat(_facts_text(facts, _VERDICT)), evidence_grammar(facts))


def note_prompt(facts: NoteFacts, *, seed: int = 0) -> Prompt:
    """Task *preference note*: the user's taste, from history alone."""
    text = f"{_NOTE}\n{_note_facts_text(facts)}"
    return Prompt(_chat(text), _note_grammar(facts, facts.attributes()), seed)


def revision_prompt(
    facts: NoteFacts, note: str, outcome: HistoryItem, liked: bool, *, seed: int = 0
) -> Prompt:
    """The note again, after the outcome of one more event has been seen."""
    seen = f"New: {'liked' if liked else 'disliked'} {_item_text(outcome)}"
    text = f"{_REVISE}\n{_note_facts_text(facts)}\nTaste: {note}\n{seen}"
    attributes = tuple(dict.fromkeys((*outcome.shared, *facts.attributes())))
    return Prompt(_chat(text), _note_grammar(facts, attributes), seed)


def parse_reason(text: str) -> ParsedReason | None:
    """The parts of a reason completion; None when it does not have the form."""
    evidence, mark, reason = text.partition(REASON_MARK)
    found = _EVIDENCE.match(evidence)
    if not mark or found is None:
        return None
    shared = found["shared"]
    return ParsedReason(
        liked=tuple(re.findall(r'"(.*?)"', found["liked"])),
        disliked=tuple(re.findall(r'"(.*?)"', found["disliked"])),
        shared=() if shared == NONE else tuple(shared.split(", ")),
        verdict=found["verdict"],
        reason=reason.strip(),
    )


def parse_note(text: str) -> str | None:
    """The note inside a note completion, repetitions removed; None when it lacks the form."""
    found = _NOTE_FORM.match(text.strip())
    if found is None:
        return None
    enjoyed, avoided = (", ".join(dict.fromkeys(part.split(", "))) for part in found.groups())
    return f"enjoys {enjoyed}; avoids {avoided}"


def prompt_fingerprint(prompts: Sequence[Prompt]) -> str:
    """Content hash of prompts: text, grammar and seed of each."""
    return digest([[prompt.messages, prompt.grammar, prompt.seed] for prompt in prompts])


def _chat(user: str) -> tuple[tuple[str, str], ...]:
    return (("system", SYSTEM), ("user", user))


def _facts_text(facts: Facts, task: str) -> str:
    """Task and user first: prompts of one user begin alike, and that part is computed once."""
    lines = [task]
    if facts.recent_liked or facts.recent_disliked:
        lines += [
            f"Lately liked: {_items_text(facts.recent_liked)}",
            f"Lately disliked: {_items_text(facts.recent_disliked)}",
        ]
    if facts.note:
        lines.append(f"Taste: {facts.note}")
    lines += [
        f"Item: {facts.title}",
        f"About: {', '.join(facts.attributes) or 'unknown'}",
        f"Liked: {_items_text(facts.liked)}",
        f"Disliked: {_items_text(facts.disliked)}",
    ]
    return "\n".join(lines)


def _note_grammar(facts: NoteFacts, attributes: Sequence[str]) -> str:
    return note_grammar(attributes, facts.max_enjoyed, facts.max_avoided)


def _note_facts_text(facts: NoteFacts) -> str:
    return f"Liked: {_items_text(facts.liked)}\nDisliked: {_items_text(facts.disliked)}"


def _items_text(items: Sequence[HistoryItem]) -> str:
    return " | ".join(map(_item_text, items)) or NONE


def _item_text(item: HistoryItem) -> str:
    return f"{item.title} ({', '.join(item.shared)})" if item.shared else item.title
