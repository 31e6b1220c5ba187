"""A GRPO step on a CPU with TRL's colocated vLLM engine and our rollout; see test_grpo.py.

A process of its own: the engine lives in it, and TRL leaves settings of `torch.distributed`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from curec_assets.alignment.training import trainer_defaults
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.policy.rewards import PolicyEvent
from curec_assets.policy.rollout import Rollout, dataset_prompt
from curec_assets.policy.vllm_generation import ColocatedGenerator, vllm_arguments
from resources.compute.accelerator import ResolvedAccelerator


def main(base: Path, workspace: Path) -> None:
    import torch
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig

    from curec_assets.policy.trainer import ALIGNED, ChoiceTrainer

    accelerator = ResolvedAccelerator("cpu", "float32", 1)
    events = [
        PolicyEvent(
            item_id=str(number),
            history_item_ids=(),
            history_likes=(),
            event_id=str(number),
            liked=True,
            facts=Facts(title, ("drama",), (Fact("crowd", 2), Fact("taste", -1))),
            level=6,
            probability=0.6,
        )
        for number, title in enumerate(["Heat", "Alien"])
    ]
    by_id = {event.event_id: event for event in events}
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    model.save_pretrained(workspace / "aligned")
    model.load_adapter(workspace / "aligned", ALIGNED)
    texts: list[str] = []

    def length(completions: Any, **_: Any) -> list[float]:
        new = [completion[0]["content"] for completion in completions]
        texts.extend(new)
        return [float(len(text)) for text in new]

    trainer = ChoiceTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([{"prompt": dataset_prompt(event)} for event in events]),
        reward_funcs=[length],
        rollout_func=Rollout(
            ColocatedGenerator(tokenizer, max_prompt_tokens=300),
            by_id,
            seed=3,
            max_new_tokens=80,
        ),
        args=GRPOConfig(
            **trainer_defaults(workspace, 3, accelerator),
            **vllm_arguments("colocate", accelerator, max_tokens=400, gpu_memory_utilization=0.2),
            max_steps=1,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            num_generations=4,
            max_completion_length=80,
            learning_rate=1e-3,
            temperature=1.0,
            shuffle_dataset=False,
        ),
    )
    # The engine has the weights of the first step: the base model's, for a new adapter changes
    # nothing. So that the step can be run where sending weights cannot.
    trainer._last_loaded_step = 0
    before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    trainer.train()
    try:
        trainer.vllm_generation.sync_weights()
        refused = ""
    except AttributeError as error:
        refused = str(error)
    (step,) = [entry for entry in trainer.state.log_history if "reward" in entry]
    changed = any(
        not torch.equal(before[name], value)
        for name, value in model.named_parameters()
        if name in before
    )
    result = {"texts": texts, "changed": changed, "refused": refused, "step": step}
    print(f"RESULT {json.dumps(result)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
