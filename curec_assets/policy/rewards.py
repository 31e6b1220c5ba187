"""The composed reward of a sampled reason (its composition is ours).

For a text that has the form:

    reward = w_r · recommender gain + w_p · reader gain − λ · user-independent gain
             + groundedness − disagreement − length + format

and 0 for any other: without a chain of thought, unfinished, empty, repeated, a copied prompt, a
sentence that claims nothing.

*Gains*: how much the reason helps each reader (the recommender-shaped one, and the plain reader of
the reason alone) to tell the outcome, in nats over that reader's null. One true outcome says little
of what was to be expected: over many events it rewards what the evidence model's probability does,
as far as that is calibrated, with many times the variance. So the gain is a mean of both,
`policy.outcome_weight` being the true one's share. *User-independent
gain*: the part of both that is not about this user, weighted as they are; the first under other
users' histories, the second over other users' outcomes with the item. *Disagreement*: of the level
with the cited arguments. *Format*: its weight is more than a reason can lose by all other terms
together, each of which is bounded (gains by `policy.gain_limit`): so every reason that has the form
scores above 0, and no other text does.

The gains are log scores: they are largest on average where the level says what is believed. That
holds only while little else depends on the level. So losses count as gains do, in the
user-independent part too, the limit is beyond what an honest level loses, and λ is small; a limit
of 1 nat would make the extreme levels the best to write in most cases.

Each term is returned on its own, so that each is logged: an optimised sum can hide a term that is
being gamed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from curec_assets.explanation.facts import Facts
from curec_assets.explanation.grounding import Grounding, GroundingChecker, disagreement
from curec_assets.explanation.prompts import ParsedReason, parse_reason
from curec_assets.reward.scoring import ScoredEvent
from curec_assets.reward.texts import SILENCE, Sentences
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
    probability: float
    """Of a like, by the evidence model of earlier events; in no prompt."""


class Scorer(Protocol):
    """What is needed of the reward model."""

    def gain(
        self,
        events: Sequence[ScoredEvent],
        reasons: Sequence[Sentences],
        outcomes: Sequence[float],
    ) -> Scores:
        """Nats by which each reason helps the recommender-shaped reader to tell the outcome."""
        ...

    def user_independent_gain(
        self,
        events: Sequence[ScoredEvent],
        reasons: Sequence[Sentences],
        outcomes: Sequence[float],
    ) -> Scores:
        """The same under other users' histories."""
        ...

    def reader_gain(self, reasons: Sequence[Sentences], outcomes: Sequence[float]) -> Scores:
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
    "groundedness",
    "disagreement",
    "length",
    "format",
)


def weights(settings: PolicySettings) -> dict[str, float]:
    """The weight of each term; penalties are negative."""
    gains = settings.recommender_weight + settings.reader_weight
    most_lost = (
        gains * (1.0 + settings.user_independent_weight) * settings.gain_limit
        + settings.disagreement_weight
        + settings.length_weight
    )
    return {
        "recommender_gain": settings.recommender_weight,
        "reader_gain": settings.reader_weight,
        "user_independent": -settings.user_independent_weight,
        "groundedness": settings.groundedness_weight,
        "disagreement": -settings.disagreement_weight,
        "length": -settings.length_weight,
        "format": settings.format_weight + most_lost,
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
        """`settings`: limit of the gains, and their weights within the user-independent part.
        `wanted_words`: longer why sentences have a `length` term above 0, at most 1.
        """
        self._scorer = scorer
        self._checker = checker
        self._settings = settings
        self._wanted_words = wanted_words

    def terms(
        self, events: Sequence[PolicyEvent], completions: Sequence[str], finished: Sequence[bool]
    ) -> dict[str, Scores]:
        """Unweighted terms by name, each of shape (n,); all 0 for a text without the form."""
        judged = [
            self._judge(text, event.facts) if done else None
            for text, event, done in zip(completions, events, finished, strict=True)
        ]
        reasons: list[Sentences] = [each[0] if each else SILENCE for each in judged]
        share = self._settings.outcome_weight
        outcomes = [share * e.liked + (1.0 - share) * e.probability for e in events]
        formed = np.array([each is not None for each in judged], dtype=np.float64)

        def nats(gains: Scores) -> Scores:
            limit = self._settings.gain_limit
            return gains.clip(-limit, limit) * formed

        return {
            "recommender_gain": nats(self._scorer.gain(events, reasons, outcomes)),
            "reader_gain": nats(self._scorer.reader_gain(reasons, outcomes)),
            "user_independent": (
                self._settings.recommender_weight
                * nats(self._scorer.user_independent_gain(events, reasons, outcomes))
                + self._settings.reader_weight
                * nats(self._scorer.reader_user_independent_gain(events, reasons))
            ),
            "groundedness": np.array(
                [float(each is not None and not each[1].unsupported) for each in judged]
            ),
            "disagreement": np.array(
                [
                    disagreement(each[0], event.facts) if each else 0.0
                    for each, event in zip(judged, events, strict=True)
                ]
            ),
            "length": np.array([self._excess(each[0]) if each else 0.0 for each in judged]),
            "format": formed,
        }

    def _judge(self, text: str, facts: Facts) -> tuple[ParsedReason, Grounding] | None:
        """A completion taken apart, and its check; None when it lacks the form."""
        parsed = parse_reason(text)
        check = self._checker.check(parsed, facts) if parsed else None
        return (parsed, check) if parsed and check and check.well_formed else None

    def _excess(self, parsed: ParsedReason) -> float:
        """0 up to the wanted words, 1 from twice as many on."""
        return min(1.0, max(0.0, len(parsed.why.split()) / self._wanted_words - 1.0))
