"""The composed reward of a sampled reason (its composition is ours).

For a text that has the form:

    reward = format
           + w_r · (recommender gain − λ · its user-independent part)
           + w_p · (reader gain − λ · its user-independent part)
           + groundedness − disagreement − length

and 0 for any other: without a chain of thought, unfinished, empty, repeated, a copied prompt, or a
sentence that says none of what its chain cites.

*Gain*: how much the reason helps a reader to tell the true outcome, in nats over that reader's
null. The recommender-shaped reader knows item and history, the plain reader only the reason.
*User-independent part*: what remains of the gain when the reason is not about this user. Of the
recommender-shaped reader, its gain under other users' histories; of the plain reader, its gain over
other users' outcomes with the item. Losses count as gains do: a penalty on gains alone would pay
for saying little.
*Format*: its weight is more than an ordinary reason can lose by all other terms together, because
each of them is bounded (gains are clipped to ± `policy.gain_limit`). So every reason that has the
form scores above 0, and none that lacks it does.

Each term is returned on its own, so that each is logged: an optimised sum can hide a term that is
being gamed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from curec_assets.explanation.facts import Facts
from curec_assets.explanation.grounding import Grounding, GroundingChecker, agreement
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


class Scorer(Protocol):
    """What is needed of the reward model, see `reward.scoring.RewardScorer`."""

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
        """Nats by which each reason helps the plain reader to tell the outcome."""
        ...

    def reader_user_independent_gain(
        self, events: Sequence[ScoredEvent], reasons: Sequence[Sentences]
    ) -> Scores:
        """The same over other users' outcomes with the item."""
        ...


TERMS = (
    "recommender_gain",
    "recommender_user_independent",
    "reader_gain",
    "reader_user_independent",
    "format",
    "groundedness",
    "disagreement",
    "length",
)


def weights(settings: PolicySettings) -> dict[str, float]:
    """The weight of each term; penalties are negative."""
    shared = settings.user_independent_weight
    by_name = {
        "recommender_gain": settings.recommender_weight,
        "recommender_user_independent": -shared * settings.recommender_weight,
        "reader_gain": settings.reader_weight,
        "reader_user_independent": -shared * settings.reader_weight,
        "groundedness": settings.groundedness_weight,
        "disagreement": -settings.disagreement_weight,
        "length": -settings.length_weight,
    }
    # What a reason that has the form can lose: each term at its worst. Gains may be negative, the
    # other terms lie in 0 ... 1, so that rewards among them cannot be lost, only missed.
    worst = sum(
        settings.gain_limit * abs(weight) if name in _NATS else max(0.0, -weight)
        for name, weight in by_name.items()
    )
    by_name["format"] = settings.format_weight + worst
    return {name: by_name[name] for name in TERMS}


class ComposedReward:
    """Scores completions, term by term."""

    def __init__(
        self, scorer: Scorer, checker: GroundingChecker, wanted_words: int, gain_limit: float
    ) -> None:
        """`wanted_words`: longer why sentences have a `length` term above 0. `gain_limit`: largest
        gain or loss that counts, in nats (`policy.gain_limit`).
        """
        self._scorer = scorer
        self._checker = checker
        self._wanted_words = wanted_words
        self._gain_limit = gain_limit

    def terms(
        self, events: Sequence[PolicyEvent], completions: Sequence[str], finished: Sequence[bool]
    ) -> dict[str, Scores]:
        """Unweighted terms by name, each of shape (n,); all 0 for a text without the form."""
        judged = [
            _judge(text, event.facts, self._checker) if ended else None
            for text, event, ended in zip(completions, events, finished, strict=True)
        ]
        reasons: list[Sentences] = [each[0] if each else SILENCE for each in judged]
        outcomes = [event.liked for event in events]
        formed = np.array([each is not None for each in judged], dtype=np.float64)

        def nats(values: Scores) -> Scores:
            return values.clip(-self._gain_limit, self._gain_limit) * formed

        return {
            "recommender_gain": nats(self._scorer.gain(events, reasons, outcomes)),
            "recommender_user_independent": nats(
                self._scorer.user_independent_gain(events, reasons, outcomes)
            ),
            "reader_gain": nats(self._scorer.reader_gain(reasons, outcomes)),
            "reader_user_independent": nats(
                self._scorer.reader_user_independent_gain(events, reasons)
            ),
            "format": formed,
            "groundedness": np.array(
                [float(each is not None and not each[1].unsupported) for each in judged]
            ),
            "disagreement": np.array(
                [
                    agreement(each[0], event.facts) if each else 0.0
                    for each, event in zip(judged, events, strict=True)
                ]
            ),
            "length": np.array([self._excess(each[0]) if each else 0.0 for each in judged]),
        }

    def _excess(self, parsed: ParsedReason) -> float:
        """0 up to the wanted words, 1 from twice as many on."""
        return min(1.0, max(0.0, len(parsed.why.split()) / self._wanted_words - 1.0))


_NATS = frozenset(name for name in TERMS if "gain" in name or "user_independent" in name)


def _judge(
    text: str, facts: Facts, checker: GroundingChecker
) -> tuple[ParsedReason, Grounding] | None:
    """A completion taken apart, and its check; None when it lacks the form."""
    parsed = parse_reason(text)
    if parsed is None or not parsed.why.strip():
        return None
    check = checker.check(parsed, facts)
    return (parsed, check) if check.well_formed else None
