"""What prompts, reasons and notes may say."""

from pydantic import Field, NonNegativeInt, PositiveInt

from curec_assets.settings.sections.base import Section


class ExplanationSettings(Section):
    """What is said: what a prompt shows, how much a reason cites, what a note is made of."""

    attributes: NonNegativeInt = Field(
        4, description="Attributes of the candidate item that a prompt shows."
    )
    cited_for: PositiveInt = Field(2, description="Facts for the item that a reason cites at most.")
    cited_against: PositiveInt = Field(2, description="Facts against it that it cites at most.")
    wanted_words: PositiveInt = Field(
        35,
        description="Longest wanted why sentence, in words: what the teacher is told, and beyond "
        "which the policy is penalised.",
    )
    max_words: PositiveInt = Field(
        50, description="Longest accepted why sentence, in words: a longer one is not well formed."
    )
    note_likes: PositiveInt = Field(
        2, description="Attributes that a note names as liked more than by most."
    )
    note_dislikes: PositiveInt = Field(
        2, description="Attributes that a note names as liked less than by most."
    )
    note_tokens: PositiveInt = Field(40, description="Longest note, in tokens.")
