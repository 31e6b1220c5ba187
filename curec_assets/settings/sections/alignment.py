"""Supervised fine-tuning."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from curec_assets.settings.sections.base import Section


class AlignmentSettings(Section):
    """Supervised fine-tuning (TRL SFTTrainer, LoRA)."""

    reason_examples: PositiveInt = Field(description="Training examples of the task *reason*.")
    verdict_examples: PositiveInt = Field(description="Training examples of the task *verdict*.")
    note_examples: PositiveInt = Field(
        description="Training examples of the task *preference note*."
    )
    epochs: PositiveInt = Field(1, description="Passes over the corpus.")
    learning_rate: PositiveFloat = Field(1e-3, description="AdamW peak learning rate.")
    level_score_weight: NonNegativeFloat = Field(
        0.5,
        description="Weight of a level's ranked probability score in the loss, beside the mean "
        "cross-entropy of all tokens.",
    )
    level_word_weight: NonNegativeFloat = Field(
        0.2,
        description="Weight of a level's cross-entropy among the nine words, beside the same.",
    )
    batch_size: PositiveInt = Field(8, description="Examples per optimiser step.")
    max_tokens: PositiveInt = Field(
        1024, description="Longest training example, in tokens; longer ones are left out."
    )
    lora_rank: PositiveInt = Field(16, description="Rank of the LoRA adapter.")
    lora_first_layer: NonNegativeInt = Field(
        0, description="Lowest decoder layer that is adapted; higher is faster and weaker."
    )
