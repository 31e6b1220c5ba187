"""Frames: how clauses for and against are joined into a why sentence.

`a1`, `a2` are on the side of the level, `b1`, `b2` on the other. A frame belongs to a shape, the
number of clauses on either side; none is used for more than its share of a corpus.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

FRAMES: Mapping[tuple[int, int], tuple[str, ...]] = {
    (1, 0): (
        "{a1}.",
        "In short, {a1}.",
        "Above all, {a1}.",
        "The main point is that {a1}.",
        "What counts here is that {a1}.",
        "It comes down to this: {a1}.",
        "One thing stands out: {a1}.",
        "The reason is that {a1}.",
        "The short answer is that {a1}.",
        "As it happens, {a1}.",
        "What tells most is that {a1}.",
        "To put it simply, {a1}.",
    ),
    (2, 0): (
        "{a1}, and {a2}.",
        "{a1}; besides, {a2}.",
        "{a1}; what is more, {a2}.",
        "{a1}. On top of that, {a2}.",
        "For one thing, {a1}; for another, {a2}.",
        "Two things count here: {a1}, and {a2}.",
        "{a1}; {a2}.",
        "{a1}. Besides, {a2}.",
        "Above all, {a1}, and {a2}.",
        "The main point is that {a1}; besides, {a2}.",
        "In short, {a1}, and {a2}.",
        "{a1}. What is more, {a2}.",
    ),
    (1, 1): (
        "{a1}, though {b1}.",
        "{a1}, but {b1}.",
        "{a1}, although {b1}.",
        "{a1}, even if {b1}.",
        "Though {b1}, {a1}.",
        "While {b1}, {a1}.",
        "Even though {b1}, {a1}.",
        "{b1}, but {a1}.",
        "It is true that {b1}, but {a1}.",
        "Granted, {b1}, but {a1}.",
        "{a1}; on the other hand, {b1}.",
        "{a1}. Then again, {b1}.",
        "{a1}. Even so, {b1}.",
        "On the one hand, {a1}; on the other, {b1}.",
    ),
    (2, 1): (
        "{a1}, and {a2}, though {b1}.",
        "{a1}, and {a2}, but {b1}.",
        "{a1}, and {a2}; on the other hand, {b1}.",
        "{a1}, and {a2}. Even so, {b1}.",
        "{a1}; besides, {a2}. Then again, {b1}.",
        "{a1}, even if {b1}; besides, {a2}.",
        "{a1}, though {b1}; what is more, {a2}.",
        "For one thing, {a1}; for another, {a2}. Still, {b1}.",
        "Though {b1}, {a1}, and {a2}.",
        "While {b1}, {a1}, and {a2}.",
        "Even though {b1}, {a1}, and {a2}.",
        "{b1}, but {a1}, and {a2}.",
        "It is true that {b1}, but {a1}, and {a2}.",
        "Granted, {b1}, but {a1}, and {a2}.",
        "{b1}. However, {a1}, and {a2}.",
        "On the one hand, {a1}, and {a2}; on the other, {b1}.",
    ),
    (1, 2): (
        "{a1}, though {b1}, and {b2}.",
        "{a1}, but {b1}, and {b2}.",
        "{a1}; on the other hand, {b1}, and {b2}.",
        "{a1}. Even so, {b1}, and {b2}.",
        "{a1}. Then again, {b1}; besides, {b2}.",
        "It is true that {b1}, and that {b2}, but {a1}.",
        "Granted, {b1}, and {b2}, but {a1}.",
        "{b1}, and {b2}, but {a1}.",
        "{b1}, and {b2}; however, {a1}.",
        "On the one hand, {a1}; on the other, {b1}, and {b2}.",
        "{b1}; besides, {b2}. Still, {a1}.",
        "Above all, {a1}, though {b1}, and {b2}.",
    ),
    (2, 2): (
        "{a1}, and {a2}, though {b1}, and {b2}.",
        "{a1}, and {a2}; on the other hand, {b1}, and {b2}.",
        "{a1}, and {a2}. Even so, {b1}, and {b2}.",
        "{a1}, though {b1}; and {a2}, even if {b2}.",
        "On the one hand, {a1}, and {a2}; on the other, {b1}, and {b2}.",
        "It is true that {b1}, and that {b2}, but {a1}, and {a2}.",
        "Granted, {b1}, and {b2}, but {a1}, and {a2}.",
        "{b1}, and {b2}. However, {a1}, and {a2}.",
        "{a1}; besides, {a2}. Then again, {b1}, and {b2}.",
        "For one thing, {a1}; for another, {a2}. Still, {b1}, and {b2}.",
        "{a1}, and {a2}. Then again, {b1}; besides, {b2}.",
        "{b1}, and {b2}; however, {a1}, and {a2}.",
    ),
    (0, 1): (
        "{b1}, but that does not tip the balance.",
        "It is true that {b1}, but that does not decide it.",
        "Granted, {b1}, but that weighs little here.",
        "{b1}, but there is not much more to it.",
        "Though {b1}, that weighs little here.",
        "{b1}; still, that is not enough to tip the balance.",
        "Even though {b1}, that does not decide it.",
        "While {b1}, there is not much more to it.",
        "{b1}. Even so, that does not tip the balance.",
        "{b1}, but that alone does not decide it.",
        "It is true that {b1}, but that alone weighs little here.",
        "{b1}. However, that weighs little here.",
    ),
}
"""Clauses on the level's side, clauses on the other → frames."""

TAILS = (
    " That said, {n1}.",
    " At the same time, {n1}.",
    " It should be said that {n1}.",
    " A word of caution: {n1}.",
    " Of course, {n1}.",
    " One more thing: {n1}.",
)
"""How it is added that little is known."""

CONTRASTS = frozenset(
    [
        "though",
        "but",
        "although",
        "even if",
        "then again",
        "even so",
        "on the other hand",
        "on the other",
        "still",
        "however",
        "while",
        "even though",
    ]
)
"""Connectors between two clauses that speak on different sides."""

SUBORDINATE = frozenset(("though", "while", "even though", "it is true that", "granted"))
"""Openings after which a sentence needs another clause."""


@lru_cache(maxsize=1)
def connectors() -> frozenset[str]:
    """Everything that stands between clauses, in lower case and without punctuation."""
    frames = (*(frame for frames in FRAMES.values() for frame in frames), *TAILS)
    return frozenset(bare(part) for frame in frames for part in re.split(r"{\w+}", frame))


def bare(text: str) -> str:
    """`text` in lower case, without punctuation."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))
