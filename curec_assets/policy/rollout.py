"""Rollouts for TRL's `GRPOTrainer`: our constrained, seeded generation with the model in training.

Tokens that the grammar governed are masked out of the loss (`env_mask` 0). The rest is sampled at
temperature 1 from the model's whole distribution, so the log-probabilities that are optimised are
those of the distribution that was sampled from.
"""

from collections.abc import Mapping
from typing import Any

from curec_assets.alignment.prompts import reason_prompt
from curec_assets.policy.rewards import PolicyEvent
from curec_assets.seeds import derive
from resources.reason_writer import Sampling
from resources.transformers_writer import LoadedWriter


class Rollout:
    """A `rollout_func`: prompts in, token ids, masks and texts out."""

    def __init__(
        self,
        tokenizer: Any,
        events: Mapping[str, PolicyEvent],
        *,
        seed: int,
        batch_size: int,
        max_prompt_tokens: int,
        max_new_tokens: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._events = events
        self._seed = seed
        self._batch_size = batch_size
        self._max_prompt_tokens = max_prompt_tokens
        self._sampling = Sampling(max_new_tokens, temperature=1.0)
        self._writer: LoadedWriter | None = None

    def __call__(self, prompts: list[list[dict[str, str]]], trainer: Any) -> dict[str, list[Any]]:
        """One completion per prompt; a prompt occurs once per generation of its group."""
        model = trainer.accelerator.unwrap_model(trainer.model)
        if self._writer is None:
            self._writer = LoadedWriter(
                model, self._tokenizer, self._batch_size, self._max_prompt_tokens
            )
        step = trainer.state.global_step
        requests = [
            reason_prompt(
                self._events[prompt_key(chat)].facts,
                seed=derive(self._seed, "rollout", step, position),
            )
            for position, chat in enumerate(prompts)
        ]
        model.eval()
        try:
            written = self._writer.write(requests, self._sampling)
        finally:
            model.train()
        return {
            "prompt_ids": [list(completion.prompt_ids) for completion in written],
            "completion_ids": [list(completion.token_ids) for completion in written],
            "logprobs": None,  # type: ignore[dict-item]
            "env_mask": [[int(free) for free in completion.free] for completion in written],
            "finished": [completion.finished for completion in written],
        }


def prompt_key(chat: list[dict[str, str]]) -> str:
    """What tells a prompt's event: the text of its user turn."""
    return chat[-1]["content"]
