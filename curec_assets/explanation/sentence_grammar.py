"""A grammar of whole completions: a given chain, then any why sentence about what it cites.

For writing again what was refused: the model still chooses among wordings and frames, and can no
longer claim what its chain does not cite.
"""

import re
from collections.abc import Iterator

from curec_assets.evidence.levels import TOSS_UP
from curec_assets.explanation.clauses import NOTHING_KNOWN, clauses_of
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.frames import FRAMES, TAILS
from curec_assets.explanation.grammar import literal
from curec_assets.explanation.naming import in_words
from curec_assets.explanation.prompts import ParsedReason, chain
from curec_assets.explanation.templates import texts

_SLOT = re.compile(r"{(\w+)}")


def sentence_grammar(parsed: ParsedReason, facts: Facts) -> str | None:
    """The chain of `parsed` as it is, then any sentence of the frames about what it cites.

    The item is named in the first clause, if that speaks of it. None where no frame has room for
    what is cited, or a handle is not offered.
    """
    handles = facts.handles
    if any(handle not in handles for handle in parsed.cited):
        return None
    sides: dict[int, list[Fact]] = {1: [], -1: [], 0: []}
    for handle in parsed.cited:
        fact = handles[handle]
        sides[(fact.strength > 0) - (fact.strength < 0)].append(fact)
    likely = parsed.level > TOSS_UP or (parsed.level == TOSS_UP and len(sides[1]) >= len(sides[-1]))
    own, other = (sides[1], sides[-1]) if likely else (sides[-1], sides[1])
    unknown = sides[0]
    if not own and not other:
        own, unknown = unknown[:1], unknown[1:]
    shape = (len(own), len(other))
    if len(unknown) > 1 or (parsed.cited and shape not in FRAMES):
        return None
    said = {} if parsed.cited else {"nothing1": list(_texts(None, facts))}
    said |= {
        f"{letter}{number}": list(_texts(fact, facts))
        for letter, of_letter in (("a", own), ("b", other), ("n", unknown))
        for number, fact in enumerate(of_letter, 1)
    }
    sentences = [
        _sentence(frame + tail)
        for frame in (FRAMES[shape] if parsed.cited else ("{nothing1}.",))
        for tail in (TAILS if unknown else ("",))
    ]
    rules = [
        f"root ::= {literal(chain(parsed.cited, parsed.level))} why",
        f"why ::= {' | '.join(sentences)}",
    ]
    for slot, clauses in said.items():
        for form, name in (("named", f'"{facts.title}"'), ("again", "it")):
            whole = [clause.replace("{it}", name, 1).replace("{it}", "it") for clause in clauses]
            rules.append(f"{slot}{form} ::= {' | '.join(map(literal, whole))}")
            upper = [text[0].upper() + text[1:] for text in whole]
            rules.append(f"{slot}{form}begins ::= {' | '.join(map(literal, upper))}")
    return "\n".join(rules)


def _texts(fact: Fact | None, facts: Facts) -> Iterator[str]:
    """Every clause that words a fact, or that nothing is known."""
    for template in NOTHING_KNOWN if fact is None else clauses_of(fact):
        for text in texts(template):
            if fact is None:
                yield text
            else:
                what = in_words(fact) if fact.kind == "attribute" else ""
                yield text.replace("{title}", f'"{fact.value}"').replace("{what}", what)


def _sentence(frame: str) -> str:
    """The frame as a sequence of literals and rules."""
    parts, place = [], 0
    for number, slot in enumerate(_SLOT.finditer(frame)):
        before = frame[place : slot.start()]
        begins = not before if not number else before.endswith(". ")
        parts += [literal(before)] if before else []
        form = "again" if number else "named"
        parts.append(f"{slot[1]}{form}{'begins' if begins else ''}")
        place = slot.end()
    return " ".join([*parts, literal(frame[place:])])
