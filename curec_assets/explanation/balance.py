"""Which side the facts weigh to that a reason cites, and whether that misleads.

A few facts stand for all that were offered. Where these weigh to the side of the verdict, a reader
should not be left with the impression that they weigh to the other.
"""

from collections.abc import Iterable, Sequence

from curec_assets.evidence.levels import TOSS_UP
from curec_assets.explanation.facts import Facts


def balance(facts: Facts, handles: Iterable[str]) -> float:
    """Of facts by their handles: the log-odds that they add to the evidence model's score."""
    known = facts.handles
    return sum(known[handle].contribution for handle in handles if handle in known)


def balanced(
    facts: Facts, own: Sequence[str], other: Sequence[str], cited: tuple[list[str], list[str]]
) -> tuple[list[str], list[str]]:
    """`cited` of two sides, changed where it weighs to the other side than all that is offered.

    `own`, `other`: what may be cited of each, strongest first. The side that all weigh to gets a
    second fact; where that is not enough, the other keeps its first alone. It follows from the
    facts, whatever the level is.
    """
    leaning = balance(facts, facts.handles)
    if leaning * balance(facts, [*cited[0], *cited[1]]) >= 0:
        return cited
    own_leads = leaning * balance(facts, own[:1]) > 0
    more, less = (own, cited[1]) if own_leads else (other, cited[0])
    more = list(more[:2])
    if leaning * balance(facts, [*more, *less]) < 0:
        less = less[:1]
    return (more, less) if own_leads else (less, more)


def misleads(facts: Facts, cited: Sequence[str], level: int) -> bool:
    """Whether `cited` speaks against the level's side though all that is offered speaks for it.

    Never where no choice of the strongest facts would do better.
    """
    side = (level > TOSS_UP) - (level < TOSS_UP)
    if side * balance(facts, facts.handles) <= 0 or side * balance(facts, cited) >= 0:
        return False
    most = {"F": facts.cited_for, "A": facts.cited_against}
    own, other = ("F", "A") if side > 0 else ("A", "F")
    first = {
        letter: [h for h in facts.handles if h[0] == letter][: most[letter]] for letter in most
    }
    return side * balance(facts, [*first[own], *first[other][:1]]) >= 0
