"""The chat of each of the three tasks, and how a completion is taken apart again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from curec_assets.core.provenance import digest
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grammar import CHAIN_END, NOTHING, chain_grammar
from curec_assets.explanation.levels import (
    CHAIN_WORDS,
    chain_words,
    level_of_chain,
    step,
    verdict_sentence,
)
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
    "attribute": "{value}",
    "taste": "your taste",
    "habit": "your habit",
    "lately": "you lately",
    "new_item": "hardly anyone has rated it",
    "new_user": "little is known of you",
}
_CHAIN = re.compile(
    rf"^(?P<cited>{NOTHING}|[FAN]\d+(?: [FAN]\d+)*) (?P<level>{'|'.join(CHAIN_WORDS)})$"
)
_NOTE_FORM = re.compile(r"^Note: (.+)\.$")


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


def reason_prompt(facts: Facts, *, seed: int = 0) -> Prompt:
    """Task *reason*: the chain of thought, then the why sentence for the user."""
    return Prompt(_chat(_facts_text(facts, _REASON)), chain_grammar(facts), seed)


def verdict_prompt(facts: Facts) -> Prompt:
    """Task *verdict*: the chain of thought alone, which ends with the level."""
    return Prompt(_chat(_facts_text(facts, _VERDICT)), chain_grammar(facts))


def chain(cited: Sequence[str], level: int) -> str:
    """The chain of thought as the model writes it, its end included."""
    return f"{' '.join(cited) or NOTHING} {chain_words(level)}{CHAIN_END}"


def completion(parsed: ParsedReason) -> str:
    """The text that a model is to write for the task *reason*."""
    return f"{chain(parsed.cited, parsed.level)}{parsed.why}"


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
    if fact.kind == "related" and fact.value:
        label = f'you {"liked" if fact.liked else "disliked"} "{fact.value}"'
    elif fact.kind == "related":
        label = "your related items"
    else:
        label = _LABELS[fact.kind].format(value=fact.value)
    return f"{label}: {step(fact.strength)}" if fact.strength else label
