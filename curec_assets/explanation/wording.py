"""The why sentence as a grammar: every way in which the cited facts may be worded.

A small model that words freely invents. So, in a second step, it chooses among the frames and
clauses that the composer knows, for the facts that its own chain of thought cites: what it writes
is grounded by construction, and every choice of words is an action of reinforcement learning. A
larger model may word freely (`explanation.wording`), and is checked.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curec_assets.explanation.clauses import NOTHING_KNOWN, clauses_of
from curec_assets.explanation.composer import sides
from curec_assets.explanation.facts import Facts
from curec_assets.explanation.frames import FRAMES, TAILS
from curec_assets.explanation.grammar import literal
from curec_assets.explanation.naming import in_words
from curec_assets.explanation.prompts import chain
from curec_assets.explanation.templates import texts
from resources.generation.protocol import Prompt

_SLOT = re.compile(r"{(\w+)}")


def wording_prompt(
    asked: Prompt, facts: Facts, cited: Sequence[str], level: int, *, free: bool
) -> Prompt:
    """The same prompt, to be answered by this chain of thought and its why sentence.

    `free`: only the chain is held; else the completion ends with the sentence.
    """
    grammar = (
        f"root ::= {literal(chain(cited, level))}" if free else reason_grammar(facts, cited, level)
    )
    return Prompt(asked.messages, grammar, open_end=free, seed=asked.seed)


def reason_grammar(facts: Facts, cited: Sequence[str], level: int) -> str:
    """The chain of thought as it is (`cited`, `level`), then any wording of the cited facts."""
    rules = _Rules(facts)
    own, other, unknown = sides(facts, cited, level)
    slots = {
        f"{letter}{number}": handle
        for letter, handles in (("a", own), ("b", other), ("n", unknown))
        for number, handle in enumerate(handles, 1)
    }
    if not slots:
        plain = Form("", capital=True, named=False)
        options = [f"({rules.words(clause, plain)}) {literal('.')}" for clause in NOTHING_KNOWN]
    elif not own and not other:
        slots = {"a1": unknown[0]}
        options = [rules.sentence(frame, slots) for frame in FRAMES[1, 0]]
    else:
        tails = TAILS if unknown else ("",)
        frames = [f"{frame}{tail}" for frame in FRAMES[len(own), len(other)] for tail in tails]
        options = [rules.sentence(frame, slots) for frame in frames]
    root = f"root ::= {literal(chain(cited, level))} why"
    return "\n".join([root, f"why ::= {' | '.join(options)}", *rules.lines()])


@dataclass(frozen=True)
class Form:
    """A clause as it stands in a sentence."""

    handle: str
    capital: bool
    named: bool
    """Whether the item has been named before: `it` will do."""


class _Rules:
    """One rule per clause and form, made when it is first used."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._handles = facts.handles
        self._names: dict[Form, str] = {}

    def sentence(self, frame: str, slots: Mapping[str, str]) -> str:
        """A frame with the rules of its slots."""
        parts: list[str] = []
        named = False
        end = 0
        for found in _SLOT.finditer(frame):
            before = frame[end : found.start()]
            start = not before.strip() if end == 0 else bool(re.search(r"[.] $", before))
            if before:
                parts.append(literal(before))
            handle = slots[found[1]]
            parts.append(self._rule(Form(handle, start, named)))
            named = named or any("{it}" in clause for clause in clauses_of(self._handles[handle]))
            end = found.end()
        parts.append(literal(frame[end:]))
        return " ".join(parts)

    def lines(self) -> list[str]:
        """The rules of all clauses used."""
        return [
            f"{name} ::= "
            + " | ".join(
                self.words(clause, form) for clause in clauses_of(self._handles[form.handle])
            )
            for form, name in self._names.items()
        ]

    def words(self, template: str, form: Form) -> str:
        """Every text of a clause, as alternatives."""
        fact = self._handles.get(form.handle)
        values = {"it": "it" if form.named else f'"{self._facts.title}"'}
        if fact is not None:
            values |= {"title": f'"{fact.value}"', "what": in_words(fact)}
        each = (
            _SLOT.sub(lambda found: values[found[1]], _with_capital(text) if form.capital else text)
            for text in texts(template)
        )
        return " | ".join(literal(text) for text in each)

    def _rule(self, form: Form) -> str:
        return self._names.setdefault(form, f"clause{len(self._names)}")


def _with_capital(text: str) -> str:
    # Names and titles keep their own first letter.
    return text[0].upper() + text[1:] if text[0] != "{" else text
