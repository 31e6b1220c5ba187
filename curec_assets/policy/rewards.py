"""The composed reward of a sampled reason (its composition is ours).

    reward = w1 · recommender gain + w2 · reader gain − λ · user-independent gain + form
             + groundedness − disagreement − length − off-form

*Gains*: how much the reason helps each reader (the recommender-shaped one, and the plain reader of
the reason alone) to tell the true outcome, in nats, within ±`GAIN_LIMIT`. *User-independent gain*:
the part of both that is not about this user, weighted as they are. *Disagreement*: of the level
with the cited arguments. *Off-form*: a text that is not finished, lacks the form, or claims what it
may not has no gain, and its penalty is more than all that an ordinary reason can lose: whatever is
empty, repeated, copied or made up scores below every ordinary reason. Each term is returned on its
own, so that each is logged: an optimised sum can hide a term that is being gamed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from curec_assets.explanation.facts import Facts
from curec_assets.explanation.grounding import GroundingChecker, disagreement
from curec_assets.explanation.prompts import ParsedReason, parse_reason
from curec_assets.reward.scoring import ScoredEvent
from curec_assets.reward.texts import SILENCE, Sentences
from curec_assets.settings import PolicySettings

Scores = NDArray[np.float64]

GAIN_LIMIT = 1.0
"""Nats that one reason can gain or lose with a reader: a lucky outcome must not outweigh all."""
_MARGIN = 0.1  # by which an off-form text is below the worst ordinary reason


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
        self,
        events: Sequence[ScoredEvent],
        reasons: Sequence[Sentences],
        outcomes: Sequence[bool],
    ) -> Scores:
        """Nats by which each reason helps the recommender-shaped reader to tell the outcome."""
        ...

    def user_independent_gain(
        self,
        events: Sequence[ScoredEvent],
        reasons: Sequence[Sentences],
        outcomes: Sequence[bool],
    ) -> Scores:
        """The same under other users' histories."""
        ...

    def reader_gain(self, reasons: Sequence[Sentences], outcomes: Sequence[bool]) -> Scores:
        """Nats by which each reason helps the plain reader."""
        ...

    def reader_user_independent_gain(
        self, events: Sequence[ScoredEvent], reasons: Sequence[Sentences]
    ) -> Scores:
        """The same if it were said of other users' events with the item."""
        ...


TERMS = (
    "recommender_gain",
    "reader_gain",
    "user_independent",
    "format",
    "groundedness",
    "disagreement",
    "length",
    "off_form",
)


def weights(settings: PolicySettings) -> dict[str, float]:
    """The weight of each term; penalties are negative."""
    gains = settings.recommender_weight + settings.reader_weight
    lost = gains * (1.0 + settings.user_independent_weight) * GAIN_LIMIT
    lost += settings.disagreement_weight + settings.length_weight
    return {
        "recommender_gain": settings.recommender_weight,
        "reader_gain": settings.reader_weight,
        "user_independent": -settings.user_independent_weight,
        "format": settings.format_weight,
        "groundedness": settings.groundedness_weight,
        "disagreement": -settings.disagreement_weight,
        "length": -settings.length_weight,
        "off_form": -(lost + _MARGIN),
    }


class ComposedReward:
    """Scores completions, term by term."""

    def __init__(
        self,
        scorer: Scorer,
        checker: GroundingChecker,
        settings: PolicySettings,
        wanted_words: int,
    ) -> None:
        """`settings`: weights of the gains within the user-independent part. `wanted_words`: longer
        why sentences have a `length` term above 0, at most 1.
        """
        self._scorer = scorer
        self._checker = checker
        self._settings = settings
        self._wanted_words = wanted_words

    def terms(
        self, events: Sequence[PolicyEvent], completions: Sequence[str], finished: Sequence[bool]
    ) -> dict[str, Scores]:
        """Unweighted terms by name, each of shape (n,)."""
        parsed = [parse_reason(text) for text in completions]
        checks = [
            self._checker.check(p, event.facts) if p is not None else None
            for p, event in zip(parsed, events, strict=True)
        ]
        ordinary = np.array(
            [
                c is not None and c.accepted and done
                for c, done in zip(checks, finished, strict=True)
            ],
            dtype=bool,
        )
        reasons: list[Sentences] = [
            p if p is not None and good else SILENCE
            for p, good in zip(parsed, ordinary, strict=True)
        ]
        outcomes = [event.liked for event in events]
        independent = self._settings.recommender_weight * _limited(
            self._scorer.user_independent_gain(events, reasons, outcomes)
        ) + self._settings.reader_weight * _limited(
            self._scorer.reader_user_independent_gain(events, reasons)
        )
        return {
            "recommender_gain": _limited(self._scorer.gain(events, reasons, outcomes)),
            "reader_gain": _limited(self._scorer.reader_gain(reasons, outcomes)),
            "user_independent": independent.clip(min=0.0),
            "format": np.array(
                [
                    float(c is not None and c.well_formed and done)
                    for c, done in zip(checks, finished, strict=True)
                ]
            )
            * ordinary,
            "groundedness": ordinary.astype(np.float64),
            "disagreement": np.array(
                [
                    disagreement(p, event.facts) if p is not None and good else 0.0
                    for p, event, good in zip(parsed, events, ordinary, strict=True)
                ]
            ),
            "length": np.array(
                [
                    _excess(p, self._wanted_words) if good else 0.0
                    for p, good in zip(parsed, ordinary, strict=True)
                ]
            ),
            "off_form": (~ordinary).astype(np.float64),
        }


def _limited(gains: Scores) -> Scores:
    return gains.clip(-GAIN_LIMIT, GAIN_LIMIT)


def _excess(parsed: ParsedReason | None, wanted_words: int) -> float:
    words = len(parsed.why.split()) if parsed else 0
    return min(1.0, max(0.0, words / wanted_words - 1.0))
