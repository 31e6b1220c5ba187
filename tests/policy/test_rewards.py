"""The composed reward: each term does what it is for, and the sum is what is said."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from curec_assets.explanation.facts import Catalogue, Facts, HistoryItem
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.policy.rewards import TERMS, ComposedReward, PolicyEvent, weights
from curec_assets.reward.scoring import ScoredEvent
from curec_assets.settings import PolicySettings

SETTINGS = PolicySettings(steps=1, prompts_per_step=1, generations=2)
FACTS = Facts("Heat", ("crime",), (HistoryItem("Alien", ("crime",)),), ())
CATALOGUE = Catalogue(
    pl.DataFrame(
        {
            "item_id": ["1", "2", "3"],
            "title": ["Heat", "Alien", "Blue Velvet"],
            "attributes": [[{"kind": "genre", "value": v}] for v in ("crime", "crime", "drama")],
        }
    )
)
EVENT = PolicyEvent(
    item_id="1",
    history_item_ids=("2",),
    history_likes=(True,),
    user_id="u",
    event_id="e",
    liked=True,
    facts=FACTS,
)
HEAD = 'Evidence: liked "Alien"; disliked none; shared crime; verdict like\nReason:'
GOOD = f'{HEAD} You liked "Alien", so the crime in "Heat" may appeal to you.'


class ByLength:
    """A stand-in for the reward model: tells reasons apart and knows who asks."""

    def gain(
        self, events: Sequence[ScoredEvent], reasons: Sequence[str], outcomes: Sequence[bool]
    ) -> np.ndarray:
        return np.array(
            [len(r) / 100 * (1 if o else -1) for r, o in zip(reasons, outcomes, strict=True)]
        )

    def user_independent_gain(
        self, events: Sequence[ScoredEvent], reasons: Sequence[str], outcomes: Sequence[bool]
    ) -> np.ndarray:
        return self.gain(events, reasons, outcomes) / 2


def terms(*completions: str, finished: bool = True) -> dict[str, np.ndarray]:
    reward = ComposedReward(ByLength(), GroundingChecker(CATALOGUE, 60), wanted_words=10)
    return reward.terms([EVENT] * len(completions), completions, [finished] * len(completions))


def test_a_good_reason_has_form_and_ground() -> None:
    found = terms(GOOD)
    assert set(found) == set(TERMS)
    assert found["format"] == found["groundedness"] == 1.0
    assert found["gain"] > 0
    assert found["user_independent"] == found["gain"] / 2


def test_what_is_not_in_the_prompt_costs_groundedness_only() -> None:
    found = terms(f'{HEAD} You liked "Alien", so the drama in "Heat" may appeal to you.')
    assert found["groundedness"] == 0.0
    assert found["format"] == 1.0


def test_an_unfinished_or_malformed_text_has_no_form() -> None:
    assert terms(GOOD, finished=False)["format"] == 0.0
    lost = terms("no evidence at all")
    assert lost["format"] == lost["groundedness"] == lost["gain"] == 0.0


def test_words_beyond_the_limit_are_penalised() -> None:
    long = f"{GOOD} {'It is a film that many people like to see often. ' * 2}"
    assert terms(GOOD)["length"] == pytest.approx(12 / 10 - 1)
    assert terms(long)["length"] > terms(GOOD)["length"]


def test_a_user_independent_loss_earns_nothing() -> None:
    reward = ComposedReward(ByLength(), GroundingChecker(CATALOGUE, 60), wanted_words=10)
    disliked = PolicyEvent(**{**vars(EVENT), "liked": False})
    found = reward.terms([disliked], [GOOD], [True])
    assert found["gain"] < 0
    assert found["user_independent"] == 0.0


def test_gains_are_rewarded_and_penalties_cost() -> None:
    by_name = weights(SETTINGS)
    assert set(by_name) == set(TERMS)
    assert {name for name, weight in by_name.items() if weight < 0} == {
        "user_independent",
        "length",
    }
