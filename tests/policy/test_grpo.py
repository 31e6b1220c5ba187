"""GRPO with the real trainer on a tiny model: which event a completion is judged by."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.policy.grpo import optimise
from curec_assets.policy.rewards import ComposedReward, PolicyEvent
from curec_assets.reward.texts import Sentences
from curec_assets.settings import load_profile
from resources.compute.accelerator import ResolvedAccelerator
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads
from resources.tracking import TrackedRun
from tests.support.trackers import tensorboard_runs

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:peft"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class RecordingScorer:
    """Gives every reason the same gain, and remembers whose it was and what it was to tell."""

    def __init__(self) -> None:
        self.judged: set[tuple[str, float]] = set()

    def gain(
        self,
        events: Sequence[PolicyEvent],
        reasons: Sequence[Sentences],
        outcomes: Sequence[float],
    ) -> np.ndarray:
        self.judged |= {(e.event_id, told) for e, told in zip(events, outcomes, strict=True)}
        return np.zeros(len(reasons))

    user_independent_gain = gain

    def reader_gain(self, reasons: Sequence[Sentences], outcomes: Sequence[float]) -> np.ndarray:
        return np.zeros(len(reasons))

    def reader_user_independent_gain(
        self, events: Sequence[PolicyEvent], reasons: Sequence[Sentences]
    ) -> np.ndarray:
        return np.zeros(len(reasons))


def test_events_keep_their_own_outcomes_and_curves_are_tracked(tmp_path: Path) -> None:
    facts = Facts("Heat", ("drama",), (Fact("related", 2, "Fargo", True), Fact("crowd", -1)))
    events = [
        PolicyEvent(
            event_id=f"e{number}",
            user_id=f"u{number}",
            item_id="i",
            history_item_ids=("j",),
            history_likes=(True,),
            liked=liked,
            facts=facts,
            level=6,
            probability=0.6,
        )
        for number, liked in enumerate((True, False))
    ]
    downloads = Downloads(cache_dir=str(tmp_path / "downloads"))
    base = LanguageModel(cache_dir=str(tmp_path), downloads=downloads).prepare("tiny")
    torch.manual_seed(1)
    get_peft_model(
        AutoModelForCausalLM.from_pretrained(base.path),
        LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM"),
    ).save_pretrained(tmp_path / "aligned")
    profile = load_profile(
        "smoke",
        {"policy": {"steps": 1, "prompts_per_step": 2, "generations": 2, "outcome_weight": 0.5}},
    )
    scorer = RecordingScorer()
    run = TrackedRun(("tensorboard",), "curec", tmp_path / "tracking", "reason_policy-1234")
    with run.environment():
        curves = optimise(
            events,
            ComposedReward(scorer, GroundingChecker(60), profile.policy, wanted_words=45),
            base,
            tmp_path / "aligned",
            profile.policy,
            profile.language_model,
            seed=3,
            accelerator=ResolvedAccelerator("cpu", "float32", 1),
            workspace=tmp_path / "work",
            output=tmp_path / "out",
            tracking=run,
        )
    assert scorer.judged == {("e0", 0.8), ("e1", 0.3)}
    tracked = tensorboard_runs(tmp_path / "tracking")["reason_policy-1234"]
    for name in ("reward", "kl", "within_one_level"):
        assert tracked[f"train/{name}"] == pytest.approx(curves[name])
    written = [file.read_bytes() for file in (tmp_path / "tracking").rglob("*") if file.is_file()]
    assert not any(text in each for text in (b"Fargo", b"Heat") for each in written)
