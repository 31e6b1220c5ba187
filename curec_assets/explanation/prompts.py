"""The chat of each of the three tasks, and how a completion is taken apart again."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from curec_assets.core.provenance import digest
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grammar import CHAIN_END, NOTHING, chain_grammar, note_grammar
from curec_assets.explanation.levels import (
    CHAIN_WORDS,
    LEVEL_SCALE,
    chain_words,
    level_of_chain,
    step,
    verdict_sentence,
)
from curec_assets.explanation.naming import in_words
from resources.generation.protocol import Prompt

SYSTEM = "You say how likely a user is to like an item, and why. Use only the facts given."
_REASON = "Cite facts, judge, explain."
_VERDICT = "Cite facts, judge."
_NOTE = "Write the taste note."
_REVISE = "Rewrite the taste note."

_LABELS = {
    "crowd": "the crowd",
    "trend": "the crowd lately",
    "like_minded": "people like you",
    "taste": "your taste",
    "habit": "your habit",
    "lately": "you lately",
    "new_item": "hardly anyone has rated it",
    "new_user": "little is known of you",
    "demand": "demand",
    "demand_lately": "demand lately",
    "choosers": "people like you",
    "untried": "hardly anyone has chosen it",
    "unseen": "little is known of you",
}
_CHAIN = re.compile(
    rf"^(?P<cited>{NOTHING}|[FAN]\d+(?: [FAN]\d+)*) (?P<level>{'|'.join(CHAIN_WORDS)})$"
)
_NOTE_FORM = re.compile(r"^Note: (.+)\.$")
_NOTE_PARTS = re.compile(
    r"^(?P<harshness>[^;]+); likes (?P<more>.+) more; likes (?P<less>.+) less$"
)


HARSHNESS = (
    "much stricter than the crowd",
    "stricter than the crowd",
    "a little stricter than the crowd",
    "as strict as the crowd",
    "a little milder than the crowd",
    "milder than the crowd",
    "much milder than the crowd",
)
"""How a note says how strict a user is: by step, from -3 to 3."""
_NO_RATINGS = "no ratings"
"""What it says instead where feedback is implicit."""


@dataclass(frozen=True)
class NoteFacts:
    """What a preference note is written from: how a user's earlier outcomes lean."""

    mildness: int | None
    """-3 much stricter than the crowd ... 3 much milder; None where feedback is implicit."""
    likes: tuple[tuple[str, int], ...] = ()
    """Attribute values liked more than the user's other items, and by how much: 1 to 3; most first.
    """
    dislikes: tuple[tuple[str, int], ...] = ()
    """Those liked less: -1 to -3; most first."""
    most_likes: int = 2
    """How many of them a note may name as liked more, and"""
    most_dislikes: int = 2
    """as liked less."""

    @property
    def harshness(self) -> str:
        """How strict the user is, in words."""
        return _NO_RATINGS if self.mildness is None else HARSHNESS[self.mildness + 3]


@dataclass(frozen=True)
class ParsedReason:
    """A reason completion taken apart."""

    cited: tuple[str, ...]
    """Handles."""
    level: int
    """1 to 9."""
    why: str
    """The why sentence."""

    @property
    def verdict(self) -> str:
        """The verdict sentence."""
        return verdict_sentence(self.level)

    @property
    def reason(self) -> str:
        """What a person reads."""
        return f"{self.verdict} {self.why}".strip()


def reason_prompt(facts: Facts, *, seed: int = 0, levels: Iterable[int] = range(1, 10)) -> Prompt:
    """Task *reason*: the chain of thought, then the why sentence for the user.

    `levels`: those that the grammar allows; the text of the prompt is the same whatever they are.
    """
    allowed = tuple(levels)
    scale = tuple(LEVEL_SCALE[level - 1] for level in allowed) if len(allowed) > 1 else ()
    chat = _chat(_facts_text(facts, _REASON))
    return Prompt(chat, chain_grammar(facts, allowed), seed=seed, scale=scale)


def verdict_prompt(facts: Facts) -> Prompt:
    """Task *verdict*: the chain of thought alone, which ends with the level."""
    return Prompt(_chat(_facts_text(facts, _VERDICT)), chain_grammar(facts), scale=LEVEL_SCALE)


def chain(cited: Sequence[str], level: int) -> str:
    """The chain of thought as the model writes it, its end included."""
    return f"{' '.join(cited) or NOTHING} {chain_words(level)}{CHAIN_END}"


def completion(parsed: ParsedReason) -> str:
    """The text that a model is to write for the task *reason*."""
    return f"{chain(parsed.cited, parsed.level)}{parsed.why}"


def note_prompt(facts: NoteFacts, *, seed: int = 0) -> Prompt:
    """Task *preference note*: what the user tends to."""
    return _note_prompt([_NOTE, *_note_lines(facts)], facts, seed=seed)


def revision_prompt(
    facts: NoteFacts, note: str, attributes: Sequence[str], liked: bool, *, seed: int = 0
) -> Prompt:
    """The note again, after one more outcome was seen: of an item with these attributes."""
    named = ", ".join(attributes) or NOTHING
    did = ("disliked", "liked") if facts.mildness is not None else ("passed over", "chose")
    new = f"New: {did[liked]} {named}"
    lines = [_REVISE, *_note_lines(facts), f"Taste: {note}", new]
    before = _NOTE_PARTS.match(note)
    more, less = (_values(before[side]) if before else () for side in ("more", "less"))
    seen = tuple(attributes)
    return _note_prompt(
        lines,
        facts,
        more=(*more, *seen) if liked else more,
        less=less if liked else (*less, *seen),
        seed=seed,
    )


def parse_note(text: str) -> str | None:
    """The note inside a note completion, repetitions removed; None when it lacks the form."""
    form = _NOTE_FORM.match(text.strip())
    parts = _NOTE_PARTS.match(form[1]) if form else None
    if parts is None:
        return None
    more = _values(parts["more"])
    less = tuple(value for value in _values(parts["less"]) if value not in more)
    return note_text(parts["harshness"], more, less)


def note_text(harshness: str, more: Sequence[str], less: Sequence[str]) -> str:
    """The note that says this."""
    return (
        f"{harshness}; likes {', '.join(more) or NOTHING} more; "
        f"likes {', '.join(less) or NOTHING} less"
    )


def parse_reason(text: str) -> ParsedReason | None:
    """The parts of a reason completion; None when it does not have the form."""
    thought, end, why = text.partition(CHAIN_END)
    found = _CHAIN.match(thought)
    if not end or found is None:
        return None
    cited = () if found["cited"] == NOTHING else tuple(found["cited"].split())
    return ParsedReason(cited, level_of_chain(found["level"]), why.strip())


def prompt_fingerprint(prompts: Sequence[Prompt]) -> str:
    """Content hash of prompts: text, grammar and seed of each."""
    return digest([[prompt.messages, prompt.grammar, prompt.seed] for prompt in prompts])


def _note_lines(facts: NoteFacts) -> list[str]:
    leanings = (*facts.likes, *facts.dislikes)
    lines = [f"{value}: {step(strength)}" for value, strength in leanings]
    if facts.mildness is None:
        return lines
    return [f"{_LABELS['habit']}: {step(facts.mildness)}", *lines]


def _note_prompt(
    lines: Sequence[str],
    facts: NoteFacts,
    *,
    more: Sequence[str] = (),
    less: Sequence[str] = (),
    seed: int,
) -> Prompt:
    grammar = note_grammar(
        HARSHNESS if facts.mildness is not None else (facts.harshness,),
        tuple(dict.fromkeys([*(value for value, _ in facts.likes), *more])),
        tuple(dict.fromkeys([*(value for value, _ in facts.dislikes), *less])),
        facts.most_likes,
        facts.most_dislikes,
    )
    return Prompt(_chat("\n".join(lines)), grammar, open_end=False, seed=seed)


def _values(text: str) -> tuple[str, ...]:
    return () if text == NOTHING else tuple(dict.fromkeys(text.split(", ")))


def _chat(user: str) -> tuple[tuple[str, str], ...]:
    return (("system", SYSTEM), ("user", user))


def _facts_text(facts: Facts, task: str) -> str:
    """Task and user first: prompts of one user begin alike, and that part is computed once.

    One fact a line, all on one scale: a small model reads no other form well (docs/method.md).
    """
    lines = [task]
    if facts.note:
        lines.append(f"Taste: {facts.note}")
    about = f" ({', '.join(facts.attributes)})" if facts.attributes else ""
    lines.append(f"Item: {facts.title}{about}")
    lines += [f"{handle} {_fact_text(fact)}" for handle, fact in facts.handles.items()]
    return "\n".join(lines)


def _fact_text(fact: Fact) -> str:
    label = fact_label(fact)
    return f"{label}: {step(fact.strength)}" if fact.strength else label


def fact_label(fact: Fact) -> str:
    """What a fact is about, as the prompt says it: `people like you`, `the comedy genre`."""
    if fact.kind == "related" and fact.value:
        did = "chose" if fact.liked is None else "liked" if fact.liked else "disliked"
        return f'you {did} "{fact.value}"'
    if fact.kind == "related":
        return "your related items"
    if fact.kind == "reviews":
        return f"reviews on {in_words(fact)}"
    return in_words(fact) if fact.kind == "attribute" else _LABELS[fact.kind]
