"""Which prompts share which beginning: found from their tokens, nobody has to say it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_LEAST_SHARED = 16  # tokens; sharing fewer is not worth a pass of its own


@dataclass(frozen=True)
class PrefixPlan:
    """Sorted prompts in groups; those of a group begin with the same tokens."""

    root: int
    """Tokens that all prompts begin with."""
    groups: list[int]
    """Group of each prompt, ascending."""
    lengths: list[int]
    """Shared tokens of each group, the root's included."""


def plan_prefixes(prompts: Sequence[Sequence[int]]) -> PrefixPlan:
    """Group `prompts`, which are sorted. The last token of a prompt is never in a prefix.

    Neighbours join a group as long as that computes fewer tokens.
    """
    shortest = min(map(len, prompts))
    root = min(common_length(prompts[0], prompts[-1]), shortest - 1)
    if root < _LEAST_SHARED or len(prompts) == 1:
        root = 0
    groups = [0]
    lengths = [len(prompts[0]) - 1]
    size = 1
    for before, prompt in pairwise(prompts):
        shared = min(common_length(before, prompt), lengths[-1], len(prompt) - 1)
        saved, would_save = (size - 1) * (lengths[-1] - root), size * (shared - root)
        if shared - root >= _LEAST_SHARED and would_save >= saved:
            lengths[-1] = shared
            size += 1
        else:
            if size == 1:
                lengths[-1] = root
            lengths.append(len(prompt) - 1)
            size = 1
        groups.append(len(lengths) - 1)
    if size == 1:
        lengths[-1] = root
    return PrefixPlan(root, groups, lengths)


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many leading tokens two prompts share."""
    for position, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return position
    return min(len(one), len(other))
