"""What prompts, reasons and notes may say."""

from itertools import pairwise
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from curec_assets.settings.sections.base import Section


class ExplanationSettings(Section):
    """What is said: what a prompt shows, how much a reason cites, what a note is made of."""

    attributes: NonNegativeInt = Field(
        4, description="Attributes of the candidate item that a prompt shows."
    )
    cited_for: int = Field(
        2, ge=1, le=2, description="Facts for the item that a reason cites at most."
    )
    cited_against: int = Field(2, ge=1, le=2, description="Facts against it that it cites at most.")
    wording: Literal["grammar", "free"] = Field(
        "grammar",
        description="How the why sentence is written: choosing among the wordings of the facts "
        "that the chain cites, grounded by construction; or freely, for a model that is large "
        "enough not to invent. Both are checked.",
    )
    wanted_words: PositiveInt = Field(
        40,
        description="Longest wanted why sentence, in words: what the teacher is told, and beyond "
        "which the policy is penalised.",
    )
    max_words: PositiveInt = Field(
        60, description="Longest accepted why sentence, in words: a longer one is not well formed."
    )
    note_attributes: PositiveInt = Field(
        4, description="Attributes, liked more and liked less, that a note prompt offers of each."
    )
    note_likes: PositiveInt = Field(
        2, description="Attributes that a note names at most as liked more by the user."
    )
    note_dislikes: PositiveInt = Field(
        2, description="Attributes that it names at most as liked less."
    )
    note_prior: PositiveFloat = Field(
        5.0, description="Events' worth of prior in the like rates that notes compare."
    )
    note_cuts: tuple[float, ...] = Field(
        (0.04, 0.10, 0.20),
        min_length=3,
        max_length=3,
        description="Differences of like rates from which a user is a little, plainly and much "
        "stricter or milder than the crowd, or likes an attribute more or less.",
    )
    note_tokens: PositiveInt = Field(48, description="Longest note, in tokens.")

    @field_validator("note_cuts")
    @classmethod
    def _cuts_rise(cls, cuts: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(cuts)):
            raise ValueError(f"note_cuts {cuts} do not rise; write them in rising order")
        return cuts
