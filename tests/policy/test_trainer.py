"""What the trainer optimises is what was sampled, and it learns to choose."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig

from curec_assets.alignment.training import trainer_defaults
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.prompts import parse_reason
from curec_assets.policy.grpo import optimise
from curec_assets.policy.rewards import TERMS, PolicyEvent
from curec_assets.policy.rollout import MergedGenerator, Rollout, dataset_prompt
from curec_assets.policy.trainer import ChoiceTrainer
from curec_assets.settings import load_profile
from resources.compute.accelerator import ResolvedAccelerator
from resources.generation.protocol import Completion
from resources.models.base_models import LanguageModel
from resources.models.checkpoint import BaseCheckpoint
from resources.models.downloads import Downloads

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:peft"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
CPU = ResolvedAccelerator("cpu", "float32", 1)
FACTS = Facts(
    "The Silent Harbor",
    ("drama",),
    (Fact("like_minded", 3), Fact("crowd", -2), Fact("attribute", 1, "drama"), Fact("habit", -1)),
)
EVENTS = [
    PolicyEvent(
        user_id=f"u{number}",
        item_id="i",
        history_item_ids=(),
        history_likes=(),
        event_id=f"e{number}",
        liked=True,
        facts=replace(FACTS, title=f"The {word} Harbor"),
        level=7,
    )
    for number, word in enumerate(["Silent", "Golden"])
]


class LikelyReward:
    """1 where the chain says that a like is likely; every other term is 0."""

    def __init__(self) -> None:
        self.means: list[float] = []

    def terms(
        self, events: Sequence[PolicyEvent], completions: Sequence[str], finished: Sequence[bool]
    ) -> dict[str, Any]:
        levels = [p.level if (p := parse_reason(text)) else 0 for text in completions]
        likely = np.array([float(level > 5) for level in levels])
        self.means.append(float(likely.mean()))
        return {name: likely if name == TERMS[0] else np.zeros(len(likely)) for name in TERMS}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseCheckpoint:
    folder = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    return LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny")


def adapted(base: BaseCheckpoint, seed: int = 1) -> PeftModel:
    torch.manual_seed(seed)
    config = LoraConfig(
        r=8, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    return get_peft_model(AutoModelForCausalLM.from_pretrained(base.path), config)


@pytest.fixture(scope="module")
def aligned(base: BaseCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aligned")
    adapted(base).save_pretrained(folder)
    return folder


class Recording:
    """A generator whose completions are kept."""

    def __init__(self, merged: MergedGenerator) -> None:
        self._merged = merged
        self.written: list[Completion] = []

    def __call__(self, trainer: Any) -> Any:
        self._generator = self._merged(trainer)
        return self

    def write(self, prompts: Any, sampling: Any) -> list[Completion]:
        self.written = self._generator.write(prompts, sampling)
        return self.written


def batch(trainer: ChoiceTrainer) -> dict[str, Any]:
    """A step's rollout as the loss gets it, one after another."""
    trainer.model.train()
    prompts = [{"prompt": dataset_prompt(event)} for event in EVENTS for _ in range(4)]
    found: dict[str, Any] = trainer._generate_and_score_completions(prompts)
    return found


def trainer_of(base: BaseCheckpoint, folder: Path) -> tuple[ChoiceTrainer, Recording]:
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    recording = Recording(MergedGenerator(base, tokenizer, batch_size=8, max_prompt_tokens=400))
    rollout: Any = Rollout(
        recording, {event.event_id: event for event in EVENTS}, seed=3, max_new_tokens=24
    )
    trainer = ChoiceTrainer(
        model=adapted(base),
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([{"prompt": dataset_prompt(event)} for event in EVENTS]),
        reward_funcs=[lambda completions, **_: [float(n % 2) for n in range(len(completions))]],
        rollout_func=rollout,
        args=GRPOConfig(
            **trainer_defaults(folder, 1, CPU),
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            num_generations=4,
            max_completion_length=24,
            temperature=1.0,
        ),
    )
    return trainer, recording


def test_what_is_optimised_is_what_was_sampled(base: BaseCheckpoint, tmp_path: Path) -> None:
    trainer, recording = trainer_of(base, tmp_path)
    inputs = batch(trainer)
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
    logps, entropies, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model, ids, mask, inputs["completion_ids"].size(1), 4, compute_entropy=True
    )
    assert entropies is not None
    kinds = {"choice": 0, "forced": 0, "free": 0}
    for row, completion in enumerate(recording.written):
        assert completion.logprobs is not None
        for at, (held, among, drawn) in enumerate(
            zip(completion.constrained, completion.allowed, completion.logprobs, strict=True)
        ):
            kinds["choice" if among else "forced" if held else "free"] += 1
            learned = inputs["tool_mask"][row, at]
            assert learned == (not held or bool(among))
            if learned:
                assert logps[row, at].item() == pytest.approx(drawn, abs=1e-4)
                assert entropies[row, at] > 0
    assert min(kinds.values()) > 0, kinds


def test_gradient_flows_to_choices_and_from_nothing_that_was_forced(
    base: BaseCheckpoint, tmp_path: Path
) -> None:
    trainer, _ = trainer_of(base, tmp_path)
    inputs = batch(trainer)
    width = inputs["completion_ids"].size(1)
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
    seen: list[torch.Tensor] = []

    def keep(module: Any, arguments: Any, output: Any) -> None:
        output.logits.retain_grad()
        seen.append(output.logits)

    hook = trainer.model.get_base_model().register_forward_hook(keep)
    logps, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, width)
    hook.remove()
    logps.sum().backward()
    assert seen[0].grad is not None
    sizes = seen[0].grad[:, :-1].abs().sum(dim=2)
    learned = (inputs["tool_mask"] * inputs["completion_mask"]).bool()
    assert bool((sizes[learned] > 0).all())
    assert bool((sizes[~learned] == 0).all())


def train(
    base: BaseCheckpoint, aligned: Path, folder: Path, reward: Any, **policy: Any
) -> dict[str, Any]:
    profile = load_profile(
        "smoke",
        {
            "policy": {"prompts_per_step": 2, "generations": 8, "learning_rate": 0.01, **policy},
            "language_model": {"max_new_tokens": 16},
        },
    )
    return optimise(
        EVENTS,
        reward,
        base,
        aligned,
        profile.policy,
        profile.language_model,
        seed=3,
        accelerator=CPU,
        workspace=folder / "work",
        output=folder / "out",
    )


def test_it_learns_to_choose_what_is_rewarded(
    base: BaseCheckpoint, aligned: Path, tmp_path: Path
) -> None:
    reward = LikelyReward()
    metrics = train(base, aligned, tmp_path, reward, steps=12)
    assert np.mean(reward.means[:3]) < 0.75
    assert np.mean(reward.means[-3:]) > np.mean(reward.means[:3]) + 0.2
    assert metrics["reward"] == pytest.approx(reward.means, abs=1e-6)
    steps = {name: values for name, values in metrics.items() if isinstance(values, list)}
    assert {len(values) for values in steps.values()} == {12}
    assert metrics["kl"][0] == pytest.approx(0.0, abs=1e-6)
    assert min(metrics["kl"][3:]) > 1e-4
    assert all(0.0 <= share <= 1.0 for share in metrics["within_one_level"])
    assert metrics["level"][-1] > metrics["level"][0]


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_an_interrupted_training_goes_on_where_it_was(
    base: BaseCheckpoint, aligned: Path, tmp_path: Path, beta: float
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(base, aligned, whole, LikelyReward(), steps=3, beta=beta)
    train(base, aligned, parts, LikelyReward(), steps=2, beta=beta)
    metrics = train(base, aligned, parts, LikelyReward(), steps=3, beta=beta)
    assert len(metrics["reward"]) == 3
    files = [sorted(p.name for p in (run / "out/adapter").iterdir()) for run in (whole, parts)]
    assert files == [["adapter_config.json", "adapter_model.safetensors"]] * 2
    expected, found = (
        load_file(run / "out/adapter/adapter_model.safetensors") for run in (whole, parts)
    )
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-5)
