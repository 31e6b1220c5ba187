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

from curec_assets.evidence.levels import TOSS_UP
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.prompts import parse_reason, reason_prompt
from curec_assets.policy.grpo import grpo_arguments, optimise
from curec_assets.policy.rewards import TERMS, PolicyEvent, weights
from curec_assets.policy.rollout import MergedGenerator, Rollout, dataset_prompt
from curec_assets.policy.trainer import ChoiceTrainer
from curec_assets.settings import load_profile
from resources.compute.accelerator import Accelerator, ResolvedAccelerator
from resources.generation.protocol import GeneratorOptions, Sampling
from resources.generation.transformers.generator import TransformersFactory
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
        probability=0.7,
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
        likely = np.array([float(level > TOSS_UP) for level in levels])
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


def batch(trainer: ChoiceTrainer) -> dict[str, Any]:
    """A step's rollout as the loss gets it, one after another."""
    trainer.model.train()
    prompts = [{"prompt": dataset_prompt(event)} for event in EVENTS for _ in range(4)]
    found: dict[str, Any] = trainer._generate_and_score_completions(prompts)
    return found


def trainer_of(base: BaseCheckpoint, folder: Path, *, free: bool) -> ChoiceTrainer:
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    rollout: Any = Rollout(
        MergedGenerator(base, tokenizer, batch_size=8, max_prompt_tokens=400),
        {event.event_id: event for event in EVENTS},
        seed=3,
        max_new_tokens=40,
        free=free,
    )
    profile = load_profile(
        "smoke",
        {
            "policy": {"prompts_per_step": 2, "generations": 4},
            "language_model": {"max_new_tokens": 40},
        },
    )
    functions = [lambda completions, **_: [float(n % 2) for n in range(len(completions))]]
    return ChoiceTrainer(
        model=adapted(base),
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([{"prompt": dataset_prompt(event)} for event in EVENTS]),
        reward_funcs=functions * len(TERMS),
        rollout_func=rollout,
        args=grpo_arguments(profile.policy, profile.language_model, CPU, folder, 1),
    )


def whole(inputs: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Tokens of prompts and completions, their mask, and the width of completions."""
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
    return ids, mask, inputs["completion_ids"].size(1)


@pytest.mark.parametrize("free", [False, True])
def test_what_is_optimised_is_what_was_sampled(
    base: BaseCheckpoint, tmp_path: Path, free: bool
) -> None:
    trainer = trainer_of(base, tmp_path, free=free)
    inputs = batch(trainer)
    ids, mask, width = whole(inputs)
    logps, entropies, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model, ids, mask, width, 4, compute_entropy=True
    )
    assert entropies is not None
    learned = (inputs["tool_mask"] * inputs["completion_mask"]).bool()
    drawn = inputs["sampling_per_token_logps"]
    torch.testing.assert_close(logps.detach()[learned], drawn[learned], rtol=0.0, atol=1e-4)
    assert bool((entropies[learned] > 0).all())
    assert bool((drawn[learned] < 0).all())
    kinds = [
        "free" if among is None else "choice" if among else "forced"
        for row, seen in zip(ids, mask.bool(), strict=True)
        for among in trainer.rollout_func.choices(row[seen].tolist())
    ]
    assert kinds.count("forced") == int((inputs["completion_mask"].bool() & ~learned).sum())
    assert {"choice", "forced", *(["free"] if free else [])} <= set(kinds)


def test_nats_are_nats_in_every_group(base: BaseCheckpoint, tmp_path: Path) -> None:
    """An advantage is the reward less its group's mean.

    Scaled by the group's spread, a gain of 0.3 nats where it was likely would weigh as much as a
    loss of 2 where it was not; the best level to write would be an extreme one.
    """
    trainer = trainer_of(base, tmp_path, free=False)
    rewards = torch.tensor([0.0, 0.1, 0.0, 0.1, 0.0, -2.0, 0.0, -2.0])
    trainer.reward_funcs = [lambda completions, **_: rewards.tolist() for _ in TERMS]
    advantages = batch(trainer)["advantages"]
    worth = sum(weights(load_profile("smoke").policy).values()) * rewards
    expected = worth - worth.view(2, 4).mean(dim=1).repeat_interleave(4)
    torch.testing.assert_close(advantages, expected, rtol=0.0, atol=1e-6)


def test_gradient_flows_to_choices_and_from_nothing_that_was_forced(
    base: BaseCheckpoint, tmp_path: Path
) -> None:
    trainer = trainer_of(base, tmp_path, free=True)
    inputs = batch(trainer)
    ids, mask, width = whole(inputs)
    seen: list[torch.Tensor] = []

    def keep(module: Any, arguments: Any, output: Any) -> None:
        output.logits.retain_grad()
        seen.append(output.logits)

    trained: Any = trainer.model
    hook = trained.get_base_model().register_forward_hook(keep)
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


def likely(base: BaseCheckpoint, adapter: Path) -> float:
    """Mean probability of a level above a toss-up, over the events."""
    options = GeneratorOptions(4, 400, 40)
    factory = TransformersFactory(accelerator=Accelerator(device="cpu"))
    with factory.open(base, adapter, options) as generator:
        prompts = [reason_prompt(event.facts) for event in EVENTS]
        scales = [done.scale for done in generator.write(prompts, Sampling(40))]
    return float(np.mean([sum(scale[TOSS_UP:]) for scale in scales if scale]))


def test_it_learns_to_choose_what_is_rewarded(
    base: BaseCheckpoint, aligned: Path, tmp_path: Path
) -> None:
    reward = LikelyReward()
    metrics = train(base, aligned, tmp_path, reward, steps=12)
    print("LIKELY", likely(base, aligned), likely(base, tmp_path / "out/adapter"))
    assert likely(base, tmp_path / "out/adapter") > likely(base, aligned) + 0.1
    weight = weights(load_profile("smoke").policy)[TERMS[0]]
    assert metrics["reward"] == pytest.approx([weight * mean for mean in reward.means], abs=1e-6)
    steps = {name: values for name, values in metrics.items() if isinstance(values, list)}
    assert {len(values) for values in steps.values()} == {12}
    assert metrics["kl"][0] == pytest.approx(0.0, abs=1e-6)
    assert min(metrics["kl"][3:]) > 1e-4
    assert all(0.0 <= share <= 1.0 for share in metrics["within_one_level"])


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
