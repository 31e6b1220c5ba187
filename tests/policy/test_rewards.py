"""The composed reward: each term does what it is for, and nothing without the form earns any."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curec_assets.evidence.levels import LEVELS, level_of
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.levels import verdict_sentence
from curec_assets.explanation.prompts import chain, completion, reason_prompt
from curec_assets.policy.rewards import TERMS, ComposedReward, PolicyEvent, weights
from curec_assets.reward.scoring import ScoredEvent
from curec_assets.reward.texts import Sentences
from curec_assets.settings import EvidenceSettings, PolicySettings

SETTINGS = PolicySettings(steps=1, prompts_per_step=1, generations=2, outcome_weight=1.0)
FACTS = Facts(
    "Heat",
    ("crime",),
    (
        Fact("crowd", 3, count=8, of=9),
        Fact("related", 2, "Alien", True),
        Fact("attribute", -2, "crime", attribute="genre"),
        Fact("habit", -1, count=2, of=7),
    ),
)
EVENT = PolicyEvent(
    item_id="1",
    history_item_ids=("2",),
    history_likes=(True,),
    user_id="u",
    event_id="e",
    liked=True,
    facts=FACTS,
    level=7,
    probability=0.7,
)
MIDDLES = (0.05, 0.16, 0.28, 0.395, 0.5, 0.605, 0.72, 0.84, 0.95)
"""P(like) that a reader takes from each level."""
BASE = 0.55


def written(level: int, seed: int = 0, facts: Facts = FACTS) -> str:
    """A grounded completion."""
    return completion(compose(facts, level, np.random.default_rng(seed)))


class Reads:
    """A stand-in for the reward model whose readers take every verdict at its word.

    `drift`: added to each gain, and taken from its user-independent part. `elsewhere`: the item's
    like rate among others.
    """

    def __init__(self, drift: float = 0.0, elsewhere: float = BASE) -> None:
        self.drift, self.elsewhere = drift, elsewhere

    def gain(
        self,
        events: Sequence[ScoredEvent],
        reasons: Sequence[Sentences],
        outcomes: Sequence[float],
    ) -> np.ndarray:
        return self.reader_gain(reasons, outcomes)

    def user_independent_gain(
        self,
        events: Sequence[ScoredEvent],
        reasons: Sequence[Sentences],
        outcomes: Sequence[float],
    ) -> np.ndarray:
        return self.reader_gain(reasons, outcomes) - 2 * self.drift

    def reader_gain(self, reasons: Sequence[Sentences], outcomes: Sequence[float]) -> np.ndarray:
        said = [read_probability(reason.verdict) for reason in reasons]
        gains = [
            liked * np.log(p / BASE) + (1 - liked) * np.log((1 - p) / (1 - BASE))
            for p, liked in zip(said, outcomes, strict=True)
        ]
        return np.array(gains) + self.drift

    def reader_user_independent_gain(
        self, events: Sequence[ScoredEvent], reasons: Sequence[Sentences]
    ) -> np.ndarray:
        likes, dislikes = ([outcome] * len(reasons) for outcome in (True, False))
        expected = self.elsewhere * self.reader_gain(reasons, likes) + (
            1 - self.elsewhere
        ) * self.reader_gain(reasons, dislikes)
        return expected - 2 * self.drift


def read_probability(verdict: str) -> float:
    sentences = {verdict_sentence(level): MIDDLES[level - 1] for level in range(1, LEVELS + 1)}
    return sentences.get(verdict, BASE)


def terms(
    *completions: str,
    finished: bool = True,
    liked: bool = True,
    scorer: Reads | None = None,
    probability: float = 0.7,
    weight: float = 1.0,
) -> dict[str, np.ndarray]:
    chosen = SETTINGS.model_copy(update={"outcome_weight": weight})
    reward = ComposedReward(scorer or Reads(), GroundingChecker(50), chosen, wanted_words=20)
    event = replace(EVENT, liked=liked, probability=probability)
    return reward.terms([event] * len(completions), completions, [finished] * len(completions))


def total(found: dict[str, np.ndarray]) -> np.ndarray:
    """What is optimised: TRL sums the terms by their weights."""
    by_name = weights(SETTINGS)
    return sum((by_name[name] * found[name] for name in TERMS), np.zeros(len(found["format"])))


def test_a_good_reason_has_form_ground_and_gain() -> None:
    found = terms(written(8))
    assert tuple(found) == TERMS
    assert found["format"] == found["groundedness"] == 1.0
    assert found["disagreement"] == 0.0
    assert found["recommender_gain"] == found["reader_gain"] > 0


def test_what_is_no_cited_fact_costs_groundedness_and_not_the_form() -> None:
    first, thought = written(8), chain(("F1",), 8)
    lost = terms(first.replace(first.partition("\n")[0] + "\n", thought))
    assert (lost["groundedness"], lost["format"]) == (0.0, 1.0)


def test_a_level_that_its_arguments_speak_against_costs() -> None:
    why = written(2).partition("\n")[2]
    assert terms(chain(("A1", "A2"), 2) + why)["disagreement"] == 0.0
    assert terms(chain(("A1", "A2"), 8) + why)["disagreement"] > 0.5


def test_words_beyond_the_wanted_are_penalised() -> None:
    why = written(8).partition("\n")[2]
    found = terms(written(8))["length"][0]
    assert found == pytest.approx(max(0.0, len(why.split()) / 20 - 1.0))


def texts(prompt: str) -> st.SearchStrategy[str]:
    """Why sentences that are no reason."""
    fixed = [
        "",
        " ",
        "...",
        "is ok",
        "ok.",
        "It is good.",
        "Write to me@example.org.",
        "<|im_end|>",
    ]
    lines = [line for line in prompt.splitlines() if line.strip()]
    nonsense = st.text(st.characters(codec="ascii"), max_size=60)
    return st.one_of(st.sampled_from(fixed), st.sampled_from([*lines, prompt]), nonsense)


def degenerate() -> st.SearchStrategy[str]:
    """Completions that must not pay: each made from an ordinary one or from the prompt."""
    prompt = reason_prompt(FACTS).messages[-1][1]
    level, seed = st.integers(1, LEVELS), st.integers(0, 50)
    ordinary = st.builds(written, level, seed)
    thoughts = st.builds(lambda text: text.partition("\n")[0] + "\n", ordinary)
    whys = st.builds(lambda text: text.partition("\n")[2], ordinary)
    return st.one_of(
        texts(prompt),
        st.builds(lambda thought, why: thought + why, thoughts, texts(prompt)),
        whys,
        thoughts,
        st.builds(lambda thought: thought.strip(), thoughts),
        st.builds(lambda thought, why: thought + " ".join([why] * 6), thoughts, whys),
        st.builds(lambda thought, why: thought + why.rstrip(".!?"), thoughts, whys),
        st.builds(lambda thought, why: f"{thought}{why}\n{why}", thoughts, whys),
        st.builds(lambda thought, why: f"Answer: {thought}{why}", thoughts, whys),
    )


@pytest.mark.fault("texts that only please the reward", tried=150)
@settings(max_examples=150, deadline=None)
@given(
    degenerate(),
    st.integers(1, LEVELS),
    st.integers(0, 50),
    st.floats(-20, 20),
    st.booleans(),
    st.booleans(),
)
def test_no_degenerate_text_reaches_the_worst_ordinary_reason(
    text: str, level: int, seed: int, drift: float, liked: bool, helped: bool
) -> None:
    """Whatever the readers are made to believe, of either text."""
    bad = total(terms(text, liked=liked, scorer=Reads(20.0 if helped else drift)))
    unfinished = total(terms(written(level, seed), finished=False, liked=liked))
    ordinary = total(terms(written(level, seed), liked=liked, scorer=Reads(drift)))
    assert bad == unfinished == 0.0
    assert ordinary > 0.09


@settings(max_examples=60, deadline=None)
@given(st.floats(0.03, 0.97), st.floats(0.2, 0.9))
def test_the_best_level_to_write_is_what_is_believed(belief: float, elsewhere: float) -> None:
    """At most one level from it, whatever the item's rate among others."""
    scorer = Reads(elsewhere=elsewhere)
    reasons = [written(level) for level in range(1, LEVELS + 1)]
    gains = ("recommender_gain", "reader_gain", "user_independent")
    by_name = weights(SETTINGS)

    def worth(liked: bool) -> np.ndarray:
        found = terms(*reasons, liked=liked, scorer=scorer)
        return sum((by_name[name] * found[name] for name in gains), np.zeros(LEVELS))

    expected = belief * worth(True) + (1 - belief) * worth(False)
    honest = level_of(belief, EvidenceSettings().level_cuts)
    assert abs(int(expected.argmax()) + 1 - honest) <= 1


@settings(max_examples=60, deadline=None)
@given(st.floats(0.03, 0.97), st.floats(0.0, 1.0), st.integers(1, LEVELS))
def test_the_outcome_s_weight_changes_noise_and_not_what_is_paid_on_average(
    probability: float, weight: float, level: int
) -> None:
    """Where the evidence is calibrated: outcomes fall as its probability says."""

    def paid(liked: bool, share: float) -> float:
        found = terms(written(level), liked=liked, probability=probability, weight=share)
        return float(found["reader_gain"][0])

    def mean(share: float) -> float:
        return probability * paid(True, share) + (1 - probability) * paid(False, share)

    assert mean(weight) == pytest.approx(mean(1.0), abs=1e-9)
    noise = abs(paid(True, weight) - paid(False, weight))
    assert noise == pytest.approx(weight * abs(paid(True, 1.0) - paid(False, 1.0)), abs=1e-9)


@given(st.floats(-20, 20))
def test_gains_are_limited(drift: float) -> None:
    found = terms(written(8), scorer=Reads(drift))
    assert abs(found["recommender_gain"][0]) <= SETTINGS.gain_limit
    assert abs(found["reader_gain"][0]) <= SETTINGS.gain_limit


def test_gains_are_rewarded_and_penalties_cost() -> None:
    by_name = weights(SETTINGS)
    assert tuple(by_name) == TERMS
    assert {name for name, weight in by_name.items() if weight < 0} == {
        "user_independent",
        "disagreement",
        "length",
    }
