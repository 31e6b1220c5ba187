"""Nine levels of a verdict and seven steps of a fact, from numbers."""

from bisect import bisect_right
from collections.abc import Sequence

LEVELS = 9
TOSS_UP = 5
STRONGEST = 3


def level_of(probability: float, cuts: Sequence[float]) -> int:
    """1 (almost certainly no like) to 9 (almost certainly a like); `cuts`: eight, rising."""
    return bisect_right(cuts, probability) + 1


def expected_level(probabilities: Sequence[float], levels: Sequence[int]) -> float:
    """Mean of `levels` under their `probabilities`."""
    return sum(p * level for p, level in zip(probabilities, levels, strict=True))


def graded_level(expected: float, levels: Sequence[int], cuts: Sequence[float]) -> int:
    """The level of an expected level, among `levels`; `cuts`: eight, rising, between the nine."""
    return min(levels, key=lambda level: abs(level - (bisect_right(cuts, expected) + 1)))


def strength_of(contribution: float, cuts: Sequence[float]) -> int:
    """-3 (strongly against) to 3 (strongly for), 0 neutral; `cuts`: three, rising, log-odds."""
    steps = bisect_right(cuts, abs(contribution))
    return steps if contribution > 0 else -steps
