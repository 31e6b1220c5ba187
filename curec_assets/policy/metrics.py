"""The stored metrics of a reason policy, and what is measured beside the reward."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curec_assets.policy.rewards import PolicyEvent

BESIDE_THE_REWARD = (
    "kl",  # to the aligned model, nats per token that is learned from
    "entropy",  # of such tokens, nats
    "level",  # mean
    "within_one_level",  # share of samples, of the evidence model's level
    "learned_tokens",  # per completion: free ones and choices
    "reward_std",
)
"""One value per optimiser step, as the reward and its terms have."""


def step_means(metrics: Mapping[str, Any]) -> dict[str, list[float]]:
    """Those with one value per optimiser step (a mean over its samples), in their order."""
    return {name: values for name, values in metrics.items() if isinstance(values, list)}


def reward_terms(metrics: Mapping[str, Any]) -> dict[str, list[float]]:
    """Of them, the reward's unweighted terms; a constant one (*format*, mostly) shows nothing."""
    beside = ("reward", *BESIDE_THE_REWARD)
    return {
        name: values
        for name, values in step_means(metrics).items()
        if name not in beside and len(set(values)) > 1
    }


def level_metrics(events: Sequence["PolicyEvent"], texts: Sequence[str]) -> dict[str, float]:
    """How sampled reasons stand to the evidence model's levels.

    Nothing of the mean level where no text has the form; such a text is near no level.
    """
    from curec_assets.explanation.prompts import parse_reason

    parsed = [parse_reason(text) for text in texts]
    levels = [reason.level for reason in parsed if reason]
    near = [
        reason is not None and abs(reason.level - event.level) <= 1
        for reason, event in zip(parsed, events, strict=True)
    ]
    found = {"within_one_level": sum(near) / len(near)}
    return found | ({"level": sum(levels) / len(levels)} if levels else {})
