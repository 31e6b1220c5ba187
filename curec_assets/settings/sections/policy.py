"""Reinforcement learning."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from curec_assets.settings.sections.base import OPERATIONAL, Section


class PolicySettings(Section):
    """Reinforcement learning (TRL GRPOTrainer)."""

    steps: PositiveInt = Field(description="Optimiser steps.")
    prompts_per_step: PositiveInt = Field(description="Distinct events per step.")
    generations: int = Field(ge=2, description="Sampled reasons per event.")
    learning_rate: PositiveFloat = Field(2e-5, description="AdamW peak learning rate.")
    beta: NonNegativeFloat = Field(0.0, description="KL weight to the aligned model.")
    outcome_weight: float = Field(
        0.2,
        ge=0.0,
        le=1.0,
        description="Share of the true outcome in what reasons are rewarded for telling; the rest "
        "is the evidence model's probability, which says nearly the same with less noise.",
    )
    recommender_weight: NonNegativeFloat = Field(
        0.5, description="Weight of the gain of the recommender-shaped reader."
    )
    reader_weight: NonNegativeFloat = Field(1.0, description="Weight of the plain reader's gain.")
    disagreement_weight: NonNegativeFloat = Field(
        0.5, description="Penalty of a level that its own arguments speak against."
    )
    user_independent_weight: float = Field(
        0.2,
        ge=0.0,
        lt=1.0,
        description="Weight (lambda) of the part of the gain that is not about this user; a large "
        "one pays for levels beyond what is believed.",
    )
    gain_limit: PositiveFloat = Field(
        3.0,
        description="Nats that a reason can gain or lose with a reader; an extreme level that is "
        "wrong loses 2 to 3.",
    )
    format_weight: PositiveFloat = Field(
        0.1,
        description="By how much the worst reason that has the form is above any text without it.",
    )
    groundedness_weight: NonNegativeFloat = Field(
        0.5, description="Reward of a reason whose claims are all in its prompt."
    )
    length_weight: NonNegativeFloat = Field(
        0.1, description="Penalty per share of words beyond explanation.wanted_words."
    )
    vllm: Literal["off", "colocate", "server"] = Field(
        "off",
        description="Who samples reasons during training: `off`, the model itself; `colocate`, a "
        "vLLM engine on the same GPU, asleep while the model learns; `server`, the `vllm serve` of "
        "the section `server`, on other GPUs.",
    )
    vllm_memory: float = Field(
        0.3,
        gt=0.0,
        le=1.0,
        description="Share of the GPU's memory for a colocated engine.",
        json_schema_extra=OPERATIONAL,
    )
