"""Reinforcement learning of the reasons: TRL's `GRPOTrainer` on the aligned adapter."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from curec_assets.alignment.prompts import reason_prompt
from curec_assets.alignment.training import (
    ProgressCallback,
    completion_logits_only,
    last_checkpoint,
    save_adapter,
    trainer_defaults,
)
from curec_assets.alignment.writing import fit
from curec_assets.policy.rewards import TERMS, ComposedReward, PolicyEvent, weights
from curec_assets.policy.rollout import MergedWriter, Rollout, prompt_key
from curec_assets.settings import LanguageModelSettings, PolicySettings
from resources.accelerator import ResolvedAccelerator
from resources.chat_tokens import chat_tokens

log = logging.getLogger(__name__)


def optimise(
    events: Sequence[PolicyEvent],
    reward: ComposedReward,
    base: Path,
    aligned_adapter: Path,
    settings: PolicySettings,
    generation: LanguageModelSettings,
    *,
    seed: int,
    place: ResolvedAccelerator,
    workspace: Path,
    output: Path,
) -> dict[str, Any]:
    """Train, save the adapter to `output/adapter`, and return the metrics per step.

    Checkpoints go to `workspace` after every step, from where an interrupted run goes on.
    """
    import torch
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, place.dtype)),
        aligned_adapter,
        is_trainable=True,
    )
    fitted, left_out = _fitted(events, tokenizer, generation.max_prompt_tokens)
    chats = [reason_prompt(event.facts).chat() for event in fitted]
    by_prompt = {prompt_key(chat): event for chat, event in zip(chats, fitted, strict=True)}
    rollout: Any = Rollout(
        MergedWriter(
            base,
            tokenizer,
            batch_size=generation.batch_size,
            max_prompt_tokens=generation.max_prompt_tokens,
        ),
        by_prompt,
        seed=seed,
        max_new_tokens=generation.max_new_tokens,
    )
    term_weights = weights(settings)
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([{"prompt": chat} for chat in chats]),
        reward_funcs=_reward_functions(reward, by_prompt),
        rollout_func=rollout,
        args=GRPOConfig(
            **trainer_defaults(workspace, seed, place),
            max_steps=settings.steps,
            # One group at a time: memory does not grow with the prompts of a step.
            per_device_train_batch_size=settings.generations,
            gradient_accumulation_steps=settings.prompts_per_step,
            num_generations=settings.generations,
            max_completion_length=generation.max_new_tokens,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="constant",
            beta=settings.beta,
            temperature=1.0,
            reward_weights=[term_weights[name] for name in TERMS],
            shuffle_dataset=False,
            save_steps=1,
        ),
        callbacks=[ProgressCallback(log, "reinforcement")],
    )
    trainer.remove_callback(PrinterCallback)  # ProgressCallback tells the same in the run's log
    with completion_logits_only():
        trainer.train(resume_from_checkpoint=last_checkpoint(workspace))
    save_adapter(trainer, output / "adapter")
    return {**_curves(trainer.state.log_history), "history_items_left_out": left_out}


def _fitted(
    events: Sequence[PolicyEvent], tokenizer: Any, limit: int
) -> tuple[list[PolicyEvent], int]:
    """The events with prompts of at most `limit` tokens, and how many history items that cost."""
    fitted = [
        fit(event.facts, lambda prompt: len(chat_tokens(tokenizer, prompt)), limit)
        for event in events
    ]
    left_out = sum(count for _, count in fitted)
    if left_out:
        log.warning("prompts were too long: %d history items left out, oldest first", left_out)
    return [
        replace(event, facts=facts) for event, (facts, _) in zip(events, fitted, strict=True)
    ], left_out


def _reward_functions(reward: ComposedReward, by_prompt: dict[str, PolicyEvent]) -> list[Any]:
    """One function per term, as TRL logs them; the terms of a batch are computed once."""
    cache: dict[tuple[str, ...], dict[str, Any]] = {}

    def scored(prompts: Any, completions: Any, finished: list[bool]) -> dict[str, Any]:
        texts = tuple(completion[0]["content"] for completion in completions)
        events = [by_prompt[prompt_key(chat)] for chat in prompts]
        key = (*texts, *(event.event_id for event in events))
        if key not in cache:
            cache.clear()
            cache[key] = reward.terms(events, texts, finished)
        return cache[key]

    def function(name: str) -> Callable[..., list[float | None]]:
        def term(
            prompts: Any, completions: Any, finished: list[bool], **_: Any
        ) -> list[float | None]:
            values: list[float | None] = scored(prompts, completions, finished)[name].tolist()
            return values

        term.__name__ = name
        return term

    return [function(name) for name in TERMS]


def _curves(history: list[dict[str, float]]) -> dict[str, Any]:
    steps = [entry for entry in history if "reward" in entry]
    curves: dict[str, Any] = {"reward": [entry["reward"] for entry in steps]}
    for name in TERMS:
        curves[name] = [entry[f"rewards/{name}/mean"] for entry in steps]
    curves["completion_tokens"] = [entry["completions/mean_length"] for entry in steps]
    curves["reward_std"] = [float(np.round(entry["reward_std"], 6)) for entry in steps]
    return curves
