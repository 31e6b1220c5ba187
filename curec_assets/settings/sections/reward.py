"""The reward model and its gate."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from curec_assets.settings.sections.base import Section


class RewardSettings(Section):
    """The reward model and the reasons that it is fitted on."""

    draft_train: PositiveInt = Field(description="Reward-fold events that get a drafted reason.")
    draft_validation: PositiveInt = Field(
        description="Validation events that get one; the gate is decided on these."
    )
    epochs: PositiveInt = Field(3, description="Passes over the reward fold.")
    learning_rate: PositiveFloat = Field(1e-3, description="AdamW learning rate.")
    batch_size: PositiveInt = Field(512, description="Events per step.")
    dim: PositiveInt = Field(32, description="Embedding dimension.")
    reason_dropout: float = Field(
        0.3, gt=0.0, lt=1.0, description="Share of reasons replaced by the learned null."
    )
    shuffled_weight: NonNegativeFloat = Field(
        0.5, description="Weight of the loss on shuffled reasons."
    )
    weight_decay: NonNegativeFloat = Field(1e-3, description="AdamW weight decay.")
    text_dropout: float = Field(
        0.8,
        ge=0.0,
        lt=1.0,
        description="Share of a reason embedding's coordinates that are zeroed in fitting.",
    )
    extra_draws: NonNegativeInt = Field(
        4, description="Times that a drafted event is shown per epoch beyond the first."
    )
    drafted_share: float = Field(
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
