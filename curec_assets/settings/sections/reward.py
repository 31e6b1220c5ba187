"""The reward model's two readers and their gate."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from curec_assets.settings.sections.base import Section


class RewardSettings(Section):
    """The two readers that judge reasons, and the reasons that they are fitted on."""

    draft_train: PositiveInt = Field(
        description="Reward-fold events that get a reason by the aligned model."
    )
    draft_validation: PositiveInt = Field(
        description="Validation events that get one; the gate is decided on these."
    )
    composed_train: NonNegativeInt = Field(
        2000,
        description="Further reward-fold events whose reason is the composer's, at the evidence "
        "model's level: cheap, where drafts cost the language model's time.",
    )
    reader_ridge: PositiveFloat = Field(
        0.1, description="Penalty of the plain reader's coefficients of verdict embeddings."
    )
    reader_why_ridge: PositiveFloat = Field(
        30.0, description="The same of why embeddings, which differ from reason to reason."
    )
    epochs: PositiveInt = Field(
        6, description="Passes over the reward fold at most; the best is kept."
    )
    learning_rate: PositiveFloat = Field(3e-4, description="AdamW learning rate.")
    batch_size: PositiveInt = Field(512, description="Events per step.")
    dim: PositiveInt = Field(32, description="Embedding dimension.")
    reason_dropout: float = Field(
        0.3, gt=0.0, lt=1.0, description="Share of reasons replaced by the learned null."
    )
    weight_decay: NonNegativeFloat = Field(1e-3, description="AdamW weight decay.")
    text_dropout: float = Field(
        0.8,
        ge=0.0,
        lt=1.0,
        description="Share of a reason embedding's coordinates that are zeroed in fitting.",
    )
    extra_draws: NonNegativeInt = Field(
        4, description="Times that an event with a reason is shown per epoch beyond the first."
    )
    reasoned_share: float = Field(
        0.25, ge=0.0, le=1.0, description="Largest share of a batch for those extra showings."
    )
    least_item_events: PositiveInt = Field(
        2, description="Items with fewer events of the reward fold share one embedding."
    )
    gate_shuffles: PositiveInt = Field(
        8, description="Other users' reasons tried per event by the gate."
    )
    gate_samples: PositiveInt = Field(1000, description="Bootstrap resamples of the gate.")
    gate_least_users: PositiveInt = Field(
        10, description="With fewer users the gate resamples events instead of users."
    )
    gate_blocks: bool = Field(description="Whether a failed gate stops reinforcement learning.")
