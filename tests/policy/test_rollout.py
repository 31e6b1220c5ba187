"""Rollouts are written with the weights as they are, sample by sample."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.prompts import reason_prompt
from curec_assets.policy.rewards import PolicyEvent
from curec_assets.policy.rollout import MergedGenerator, Rollout, dataset_prompt
from resources.compute.accelerator import Accelerator
from resources.generation.protocol import GeneratorOptions, Sampling
from resources.generation.transformers.generator import TransformersFactory
from resources.models.base_models import LanguageModel
from resources.models.checkpoint import BaseCheckpoint
from resources.models.downloads import Downloads

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:peft")
EVENTS = [
    PolicyEvent(
        user_id=f"u{number}",
        item_id="i",
        history_item_ids=(),
        history_likes=(),
        event_id=f"e{number}",
        liked=True,
        facts=Facts(f"The {word} Harbor", ("drama",), (Fact("crowd", 2), Fact("taste", -1))),
        level=5,
        probability=0.5,
    )
    for number, word in enumerate(["Silent", "Golden"])
]
CHATS = [dataset_prompt(event) for event in EVENTS]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    return LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny").path


def trainer_of(model: Any, step: int = 0) -> Any:
    """What a rollout reads of a trainer."""
    return SimpleNamespace(
        accelerator=SimpleNamespace(unwrap_model=lambda wrapped: wrapped),
        model=model,
        state=SimpleNamespace(global_step=step),
    )


def trained(base: Path, seed: int) -> PeftModel:
    torch.manual_seed(seed)
    config = LoraConfig(
        r=8, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    return get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)


def test_the_writer_has_the_weights_of_the_moment(base: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    merged = MergedGenerator(BaseCheckpoint(base), tokenizer, batch_size=4, max_prompt_tokens=400)
    prompts, sampling = [reason_prompt(event.facts) for event in EVENTS], Sampling(60)
    texts = []
    for seed in (1, 2):
        model = trained(base, seed)
        model.save_pretrained(tmp_path / str(seed))
        found = [done.text for done in merged(trainer_of(model)).write(prompts, sampling)]
        with TransformersFactory(accelerator=Accelerator(device="cpu")).open(
            BaseCheckpoint(base), tmp_path / str(seed), GeneratorOptions(4, 400, 60)
        ) as generator:
            assert found == [done.text for done in generator.write(prompts, sampling)]
        texts.append(found)
    assert texts[0] != texts[1]


def test_a_group_is_one_prompt_with_samples_that_differ_and_steps_differ(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    rollout = Rollout(
        MergedGenerator(BaseCheckpoint(base), tokenizer, batch_size=8, max_prompt_tokens=400),
        {event.event_id: event for event in EVENTS},
        seed=3,
        max_new_tokens=60,
    )
    model = trained(base, 1)
    asked = [CHATS[0]] * 3 + [CHATS[1]] * 3
    first, again, later = (rollout(asked, trainer_of(model, step)) for step in (0, 0, 1))
    assert first == again
    assert first["completion_ids"] != later["completion_ids"]
    assert first["prompt_ids"] == [first["prompt_ids"][0]] * 3 + [first["prompt_ids"][3]] * 3
    for group in (first["completion_ids"][:3], first["completion_ids"][3:]):
        assert len({tuple(tokens) for tokens in group}) == 3
    for prompt, tokens, mask in zip(
        later["prompt_ids"], later["completion_ids"], later["env_mask"], strict=True
    ):
        choices = rollout.choices(prompt + tokens)
        assert len(choices) == len(tokens)
        assert mask == [int(among != ()) for among in choices], "what is forced is masked"
        assert 0 < sum(mask) < len(mask)
        for token, among in zip(tokens, choices, strict=True):
            assert not among or token in among
