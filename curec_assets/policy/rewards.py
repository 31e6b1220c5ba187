"""The composed reward of a sampled reason (its composition is ours).

reward = gain − λ·max(0, user-independent gain) + format + groundedness − length

*Gain*: how much the reason helps the reward model to tell the true outcome, in nats.
*User-independent gain*: the same with other users' histories, the part that is not about this user.
Each term is returned on its own, so that each is logged: an optimised sum can hide a term that is
being gamed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from curec_assets.explanation.facts import Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import ParsedReason, parse_reason
from curec_assets.reward.scoring import ScoredEvent
from curec_assets.settings import PolicySettings

Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PolicyEvent(ScoredEvent):
    """An event as the reward sees it; its outcome never reaches a prompt."""

    event_id: str
    liked: bool
    facts: Facts
    level: int
    """The evidence model's; in no prompt."""


class Scorer(Protocol):
    """What is needed of the reward model."""

    def gain(
        self, events: Sequence[ScoredEvent], reasons: Sequence[str], outcomes: Sequence[bool]
    ) -> Scores:
        """Nats by which each reason helps to tell the outcome."""
        ...

    def user_independent_gain(
        self, events: Sequence[ScoredEvent], reasons: Sequence[str], outcomes: Sequence[bool]
    ) -> Scores:
        """The same under other users' histories."""
        ...


TERMS = ("gain", "user_independent", "format", "groundedness", "length")


def weights(settings: PolicySettings) -> dict[str, float]:
    """The weight of each term; penalties are negative."""
    return {
        "gain": 1.0,
        "user_independent": -settings.user_independent_weight,
        "format": settings.format_weight,
        "groundedness": settings.groundedness_weight,
        "length": -settings.length_weight,
    }


class ComposedReward:
    """Scores completions, term by term."""

    def __init__(self, scorer: Scorer, checker: GroundingChecker, wanted_words: int) -> None:
        """`wanted_words`: longer reasons have a `length` term above 0."""
        self._scorer = scorer
        self._checker = checker
        self._wanted_words = wanted_words

    def terms(
        self, events: Sequence[PolicyEvent], completions: Sequence[str], finished: Sequence[bool]
    ) -> dict[str, Scores]:
        """Unweighted terms by name, each of shape (n,)."""
        parsed = [parse_reason(text) for text in completions]
        reasons = [p.reason if p else "" for p in parsed]
        outcomes = [event.liked for event in events]
        checks = [
            self._checker.check(p.reason, event.facts, p.verdict) if p and p.reason else None
            for p, event in zip(parsed, events, strict=True)
        ]
        independent = self._scorer.user_independent_gain(events, reasons, outcomes)
        return {
            "gain": self._scorer.gain(events, reasons, outcomes),
            "user_independent": independent.clip(min=0.0),
            "format": np.array(
                [
                    float(c is not None and c.well_formed and f)
                    for c, f in zip(checks, finished, strict=True)
                ]
            ),
            "groundedness": np.array([float(c is not None and not c.unsupported) for c in checks]),
            "length": np.array([self._excess(p) for p in parsed]),
        }

    def _excess(self, parsed: ParsedReason | None) -> float:
        words = len(parsed.reason.split()) if parsed else 0
        return max(0.0, words / self._wanted_words - 1.0)
