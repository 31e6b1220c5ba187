"""Reinforcement learning of the reasons: TRL's `GRPOTrainer` on the aligned adapter."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curec_assets.alignment.training import (
    MICRO_BATCH,
    ProgressCallback,
    WholeCheckpoints,
    last_checkpoint,
    save_adapter,
    trainer_defaults,
)
from curec_assets.explanation.writing import fit
from curec_assets.policy.metrics import level_metrics
from curec_assets.policy.rewards import TERMS, ComposedReward, PolicyEvent, weights
from curec_assets.policy.rollout import MergedGenerator, Rollout, dataset_prompt, event_id_of
from curec_assets.policy.vllm_generation import ColocatedGenerator, vllm_arguments
from curec_assets.settings import LanguageModelSettings, PolicySettings
from resources.compute.accelerator import ResolvedAccelerator
from resources.compute.memory import release
from resources.generation.chat_tokens import chat_tokens
from resources.generation.protocol import GeneratorOptions, ServerEndpoint, TextGenerator
from resources.generation.server.generator import ServerFactory
from resources.models.checkpoint import BaseCheckpoint
from resources.tracking import UNTRACKED, TrackedRun

if TYPE_CHECKING:
    from trl import GRPOConfig

log = logging.getLogger(__name__)


def optimise(
    events: Sequence[PolicyEvent],
    reward: ComposedReward,
    base: BaseCheckpoint,
    aligned_adapter: Path,
    settings: PolicySettings,
    generation: LanguageModelSettings,
    *,
    seed: int,
    accelerator: ResolvedAccelerator,
    workspace: Path,
    output: Path,
    server: ServerEndpoint | None = None,
    free: bool = False,
    tracking: TrackedRun = UNTRACKED,
) -> dict[str, Any]:
    """Train, save the adapter to `output/adapter`, and return the metrics per step.

    `free`: whether why sentences are worded freely. `server`: where vLLM is, if `settings.vllm` is
    `server`. Checkpoints go to `workspace` after every step, from where an interrupted run goes on.
    `tracking`: what is told of it, within its `environment`.
    """
    import torch
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback

    from curec_assets.policy.trainer import ALIGNED, ChoiceTrainer

    tokenizer = AutoTokenizer.from_pretrained(base.path, trust_remote_code=base.trust_remote_code)
    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(
            base.path,
            dtype=getattr(torch, accelerator.dtype),
            trust_remote_code=base.trust_remote_code,
        ),
        aligned_adapter,
        is_trainable=True,
    )
    if settings.beta == 0.0:
        model.load_adapter(aligned_adapter, ALIGNED)
    fitted, left_out = _fitted(events, tokenizer, generation.max_prompt_tokens)
    by_id = {event.event_id: event for event in fitted}
    writing = ExitStack()
    generator = writing.enter_context(_generator(settings, generation, base, tokenizer, server))
    rollout: Any = Rollout(
        generator, by_id, seed=seed, max_new_tokens=generation.max_new_tokens, free=free
    )
    trainer = ChoiceTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([{"prompt": dataset_prompt(event)} for event in fitted]),
        reward_funcs=_reward_functions(reward, by_id),
        rollout_func=rollout,
        args=grpo_arguments(settings, generation, accelerator, workspace, seed, server, tracking),
        callbacks=[ProgressCallback(log, "reinforcement"), WholeCheckpoints()],
    )
    trainer.remove_callback(PrinterCallback)  # ProgressCallback tells the same in the run's log
    with writing:
        trainer.train(resume_from_checkpoint=last_checkpoint(workspace))
    save_adapter(trainer, output / "adapter")
    history = trainer.state.log_history
    del trainer, model, rollout, generator
    release()
    return {**_curves(history), "facts_left_out": left_out}


def grpo_arguments(
    settings: PolicySettings,
    generation: LanguageModelSettings,
    accelerator: ResolvedAccelerator,
    workspace: Path,
    seed: int,
    server: ServerEndpoint | None = None,
    tracking: TrackedRun = UNTRACKED,
) -> "GRPOConfig":
    """What TRL is told; see `optimise`."""
    from trl import GRPOConfig

    term_weights = weights(settings)
    # A few completions at a time: memory does not grow with the size of a step.
    micro_batch = gcd(settings.generations, MICRO_BATCH)
    return GRPOConfig(
        **trainer_defaults(workspace, seed, accelerator, tracking),
        max_steps=settings.steps,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=(
            settings.prompts_per_step * settings.generations // micro_batch
        ),
        num_generations=settings.generations,
        max_completion_length=generation.max_new_tokens,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant",
        beta=settings.beta,
        # Scaled by its spread in each group, a gain in nats would no longer be a proper score: the
        # likelier outcome would win, and the outermost level be the best to write.
        scale_rewards="none",
        temperature=1.0,
        reward_weights=[term_weights[name] for name in TERMS],
        shuffle_dataset=False,
        save_steps=1,
        **vllm_arguments(
            settings.vllm,
            accelerator,
            max_tokens=generation.max_prompt_tokens + generation.max_new_tokens,
            gpu_memory_utilization=settings.vllm_memory,
            server_url=server.url if server else "",
        ),
    )


@contextmanager
def _generator(
    settings: PolicySettings,
    generation: LanguageModelSettings,
    base: BaseCheckpoint,
    tokenizer: Any,
    server: ServerEndpoint | None,
) -> Iterator[Callable[[Any], TextGenerator]]:
    """What gives the generator of a trainer."""
    limit = generation.max_prompt_tokens
    if settings.vllm == "colocate":
        yield ColocatedGenerator(tokenizer, max_prompt_tokens=limit)
    elif settings.vllm == "server":
        options = GeneratorOptions(
            generation.batch_size, limit, generation.max_new_tokens, "server", server
        )
        with ServerFactory().open(base, None, options) as generator:
            yield lambda _trainer: generator
    else:
        yield MergedGenerator(
            base, tokenizer, batch_size=generation.batch_size, max_prompt_tokens=limit
        )


def _fitted(
    events: Sequence[PolicyEvent], tokenizer: Any, limit: int
) -> tuple[list[PolicyEvent], int]:
    """The events with prompts of at most `limit` tokens, and how many facts that cost."""
    fitted = [
        fit(event.facts, lambda prompt: len(chat_tokens(tokenizer, prompt)), limit)
        for event in events
    ]
    left_out = sum(count for _, count in fitted)
    if left_out:
        log.warning("prompts were too long: %d facts left out, weakest first", left_out)
    return [
        replace(event, facts=facts) for event, (facts, _) in zip(events, fitted, strict=True)
    ], left_out


def _reward_functions(reward: ComposedReward, by_id: Mapping[str, PolicyEvent]) -> list[Any]:
    """One function per term, as TRL logs them; the terms of a batch are computed once."""
    cache: dict[tuple[str, ...], dict[str, Any]] = {}

    def scored(
        prompts: Any, completions: Any, finished: list[bool], log_metric: Callable[..., None]
    ) -> dict[str, Any]:
        texts = tuple(completion[0]["content"] for completion in completions)
        events = [by_id[event_id_of(prompt)] for prompt in prompts]
        key = (*texts, *(event.event_id for event in events))
        if key not in cache:
            cache.clear()
            cache[key] = reward.terms(events, texts, finished)
            for measured, value in level_metrics(events, texts).items():
                log_metric(measured, value)
        return cache[key]

    def function(name: str) -> Callable[..., list[float | None]]:
        def term(
            prompts: Any,
            completions: Any,
            finished: list[bool],
            log_metric: Callable[..., None],
            **_: Any,
        ) -> list[float | None]:
            terms = scored(prompts, completions, finished, log_metric)
            values: list[float | None] = terms[name].tolist()
            return values

        term.__name__ = name
        return term

    return [function(name) for name in TERMS]


def _curves(history: list[dict[str, float]]) -> dict[str, Any]:
    steps = [entry for entry in history if "reward" in entry]
    curves: dict[str, Any] = {"reward": [entry["reward"] for entry in steps]}
    for name in TERMS:
        curves[name] = [entry[f"rewards/{name}/mean"] for entry in steps]
    for name in ("kl", "entropy", "level", "within_one_level"):
        curves[name] = [entry.get(name) for entry in steps]
    # TRL counts the tokens of `env_mask` 1 only.
    curves["learned_tokens"] = [entry["completions/mean_length"] for entry in steps]
    curves["reward_std"] = [float(np.round(entry["reward_std"], 6)) for entry in steps]
    return curves
