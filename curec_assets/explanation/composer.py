"""The grounded composer: training targets, and the last resort, made from facts alone.

It is *our* stand-in for a teacher model. Given facts and a level it cites the strongest facts, the
side of the level first, and words them in one sentence; clauses and frames are drawn at random, so
that the model does not learn a single sentence by heart.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from curec_assets.evidence.levels import TOSS_UP
from curec_assets.explanation.balance import balanced
from curec_assets.explanation.clauses import NOTHING_KNOWN, clauses_of
from curec_assets.explanation.facts import Facts
from curec_assets.explanation.frames import FRAMES, TAILS
from curec_assets.explanation.naming import in_words
from curec_assets.explanation.prompts import NoteFacts, ParsedReason, note_text
from curec_assets.explanation.templates import drawn

if TYPE_CHECKING:
    import numpy as np

_DRAWS = 12  # sentences that are tried before one that repeats its own words is taken
_WEIGHTY = 2  # the strength from which a second fact of a side is worth a clause


def compose(facts: Facts, level: int, random: "np.random.Generator") -> ParsedReason:
    """Cited facts and why sentence for `level`, grounded in `facts`."""
    own, other, unknown = _chosen(facts, level)
    handles = facts.handles
    sentences: list[str] = []
    while len(sentences) < _DRAWS and (not sentences or _repetitions(sentences[-1])):
        sentences.append(_sentence(facts, own, other, unknown, random))
    cited = {*own, *other, *unknown}
    return ParsedReason(
        tuple(handle for handle in handles if handle in cited),
        level,
        min(sentences, key=_repetitions),
    )


def sides(facts: Facts, cited: Sequence[str], level: int) -> tuple[list[str], list[str], list[str]]:
    """`cited` handles on the level's side, on the other, and of what is not known.

    With a toss-up the stronger first fact leads; where only the other side is cited twice, it does.
    """
    for_it, against, unknown = ([h for h in cited if h[0] == side] for side in "FAN")
    own, other = (
        (for_it, against)
        if _is_likely(facts, for_it, against, level)
        else (
            against,
            for_it,
        )
    )
    return (own, other, unknown) if own or len(other) < 2 else (other, own, unknown)


def compose_note(facts: NoteFacts) -> str:
    """The note that these facts make."""
    return note_text(
        facts.harshness,
        [value for value, _ in facts.likes[: facts.most_likes]],
        [value for value, _ in facts.dislikes[: facts.most_dislikes]],
    )


def _chosen(facts: Facts, level: int) -> tuple[list[str], list[str], list[str]]:
    """Handles to cite: on the level's side, on the other, and of what is not known.

    Which they are follows from the facts. A model writes them before the level: if they followed
    from it, it would learn to read the level off its own guess at them.
    """
    by_letter: dict[str, list[str]] = {"F": [], "A": [], "N": []}
    for handle in facts.handles:
        by_letter[handle[0]].append(handle)
    for_it = by_letter["F"][: facts.cited_for]
    against = by_letter["A"][: facts.cited_against]
    likely = _is_likely(facts, for_it, against, level)
    own, other = (for_it, against) if likely else (against, for_it)
    unknown = by_letter["N"][:1]
    if not own:
        # Only the other side has facts: one of them, told as all that there is.
        return [], other[:1], unknown
    told = _told(facts, own, other), _told(facts, other, own)
    return *balanced(facts, own, other, told), unknown


def _told(facts: Facts, side: Sequence[str], other: Sequence[str]) -> list[str]:
    """The first fact of a side; the second where it weighs something, or the other has none."""
    weighty = (h for h in side[1:2] if abs(facts.handles[h].strength) >= _WEIGHTY or not other)
    return [*side[:1], *weighty]


def _is_likely(facts: Facts, for_it: Sequence[str], against: Sequence[str], level: int) -> bool:
    """Whether a reason of this level argues for the item first."""
    if level == TOSS_UP and for_it and against:
        strength = {handle: abs(fact.strength) for handle, fact in facts.handles.items()}
        return strength[for_it[0]] >= strength[against[0]]
    return level > TOSS_UP or (level == TOSS_UP and bool(for_it))


def _sentence(
    facts: Facts,
    own: Sequence[str],
    other: Sequence[str],
    unknown: Sequence[str],
    random: "np.random.Generator",
) -> str:
    if not own and not other and not unknown:
        return _filled(f"{drawn(_pick(NOTHING_KNOWN, random), random)}.", facts)
    if not own and not other:
        own, unknown = unknown, ()
    frame = _pick(FRAMES[len(own), len(other)], random)
    if unknown:
        frame += _pick(TAILS, random)
    clauses = {
        f"{letter}{number}": drawn(_pick(clauses_of(facts.handles[handle]), random), random)
        .replace("{title}", f"{{title {handle}}}")
        .replace("{what}", f"{{what {handle}}}")
        for letter, cited in (("a", own), ("b", other), ("n", unknown))
        for number, handle in enumerate(cited, 1)
    }
    return _filled(frame.format(**clauses), facts)


def _filled(sentence: str, facts: Facts) -> str:
    """Capitals where sentences begin; the item by its title where it is first named."""
    text = re.sub(r"(^|[.] )([a-z])", lambda found: found[1] + found[2].upper(), sentence)
    text = text.replace("{it}", "{first}", 1).replace("{it}", "it")

    def value(found: re.Match[str]) -> str:
        slot, _, handle = found[1].partition(" ")
        if slot == "first":
            return f'"{facts.title}"'
        fact = facts.handles[handle]
        return f'"{fact.value}"' if slot == "title" else in_words(fact)

    return re.sub(r"{(.+?)}", value, text)


def _repetitions(text: str) -> int:
    """How many runs of three words come again."""
    words = re.findall(r"[\w']+", text.lower())
    runs = [tuple(words[place : place + 3]) for place in range(len(words) - 2)]
    return len(runs) - len(set(runs))


def _pick(options: Sequence[str], random: "np.random.Generator") -> str:
    return options[int(random.integers(len(options)))]
