"""Rollouts for TRL's `GRPOTrainer`: our constrained, seeded generation with the model in training.

Everything is sampled at temperature 1, and the rollout keeps what each token was chosen among: so
the log-probabilities that are optimised are those of the distribution that was sampled from. Text
that the grammar forced is masked out of the loss (`env_mask` 0). Such text may have been written
with other tokens; which of them were drawn is taken as given, as the prompt is.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from math import gcd
from typing import Any

from curec_assets.core.seeds import derive
from curec_assets.explanation.prompts import reason_prompt
from curec_assets.explanation.thinking import Question, answer
from curec_assets.policy.choices import Choice, choices_of
from curec_assets.policy.rewards import PolicyEvent
from resources.generation.protocol import Completion, Sampling, TextGenerator
from resources.generation.transformers.generator import TransformersGenerator
from resources.models.checkpoint import BaseCheckpoint

_EVENT_ID = "event_id"


class Rollout:
    """A `rollout_func`: prompts in, token ids, masks and texts out."""

    def __init__(
        self,
        generator: Callable[[Any], TextGenerator],
        events: Mapping[str, PolicyEvent],
        *,
        seed: int,
        max_new_tokens: int,
        free: bool = False,
    ) -> None:
        """`generator` gives the generator of a trainer, with the weights as they are now.

        `free`: whether why sentences are worded freely. `events`: every event of the trainer's
        dataset, by its id.
        """
        self._generator = generator
        self._events = events
        self._seed = seed
        self._max_new_tokens = max_new_tokens
        self._free = free
        self._choices: dict[tuple[int, ...], tuple[Choice, ...]] = {}

    def choices(self, sequence: Sequence[int]) -> tuple[Choice, ...]:
        """What each completion token of a prompt and completion was chosen among.

        `sequence`: as it was written in the latest rollout. Raises `KeyError` for any other.
        """
        return self._choices[tuple(sequence)]

    def __call__(self, prompts: list[list[dict[str, str]]], trainer: Any) -> dict[str, list[Any]]:
        """One completion per prompt; a prompt occurs once per generation of its group."""
        groups = [(event, len(list(same))) for event, same in groupby(map(event_id_of, prompts))]
        samples = gcd(*(count for _, count in groups))
        step = trainer.state.global_step
        questions = [
            Question(self._events[event].facts, derive(self._seed, "rollout", step, group, part))
            for group, (event, count) in enumerate(groups)
            for part in range(count // samples)
        ]
        sampling = Sampling(
            self._max_new_tokens, temperature=1.0, samples=samples, keep_allowed=True
        )
        answers = answer(self._generator(trainer), questions, sampling, free=self._free)
        written = [each.completion for each in answers]
        # The trainer knows a rollout by its tokens: those that are equal share their choices.
        sequences = [completion.prompt_ids + completion.token_ids for completion in written]
        self._choices = {
            sequence: choices_of(completion)
            for sequence, completion in zip(sequences, written, strict=True)
        }
        choices = [self._choices[sequence] for sequence in sequences]
        return {
            "prompt_ids": [list(completion.prompt_ids) for completion in written],
            "completion_ids": [list(completion.token_ids) for completion in written],
            "logprobs": _logprobs(written),  # type: ignore[dict-item]
            "env_mask": [[int(among != ()) for among in kept] for kept in choices],
            "finished": [completion.finished for completion in written],
        }


class MergedGenerator:
    """Gives a `transformers` engine with the trained adapter merged into a copy of the base model.

    Merged, because an adapter's own products cost a fifth of generation on a CPU; a copy, because
    merging and unmerging would round the base model's weights a little more at every step.
    """

    def __init__(
        self, base: BaseCheckpoint, tokenizer: Any, *, batch_size: int, max_prompt_tokens: int
    ) -> None:
        self._base = base
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self._max_prompt_tokens = max_prompt_tokens
        self._copy: Any = None
        self._generator: TransformersGenerator | None = None

    def __call__(self, trainer: Any) -> TransformersGenerator:
        """The generator, with the weights of the trainer's model as they are now."""
        import torch
        from peft.tuners.lora import Linear

        from resources.generation.transformers.packed_linear import PackedLinear

        trained = trainer.accelerator.unwrap_model(trainer.model).get_base_model()
        if self._generator is None:
            self._copy = _plain_copy(self._base, trained)
            self._generator = TransformersGenerator(
                self._copy,
                self._tokenizer,
                batch_size=self._batch_size,
                max_prompt_tokens=self._max_prompt_tokens,
            )
        with torch.no_grad():
            for name, layer in trained.named_modules():
                if isinstance(layer, Linear):
                    merged: Any = layer.get_base_layer().weight
                    merged = merged + layer.get_delta_weight("default")
                    mine = self._copy.get_submodule(name)
                    if isinstance(mine, PackedLinear):
                        mine.load(merged)
                    else:
                        mine.weight.copy_(merged)
        return self._generator


def _logprobs(written: Sequence[Completion]) -> list[list[float]] | None:
    """Of each token, where the engine tells them: TRL then corrects for the engine's arithmetic."""
    kept = [list(completion.logprobs) for completion in written if completion.logprobs is not None]
    return kept if len(kept) == len(written) else None


def dataset_prompt(event: PolicyEvent) -> list[dict[str, str]]:
    """The chat about `event`, as the trainer's dataset holds it.

    Each turn carries the event id, which chat templates leave alone: TRL hands a rollout function
    nothing but prompts, and two events may have equal texts and different outcomes.
    """
    return [{**turn, _EVENT_ID: event.event_id} for turn in reason_prompt(event.facts).chat()]


def event_id_of(prompt: Sequence[Mapping[str, str]]) -> str:
    """The event that a `dataset_prompt` is about."""
    return prompt[-1][_EVENT_ID]


def _plain_copy(base: BaseCheckpoint, trained: Any) -> Any:
    from transformers import AutoModelForCausalLM

    copy = AutoModelForCausalLM.from_pretrained(
        base.path, dtype=trained.dtype, trust_remote_code=base.trust_remote_code
    )
    return copy.to(trained.device).eval()
