"""What other people's and the user's own behaviour says about an event, in numbers and in words."""

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from curec_assets.settings.sections.base import Section


class EvidenceSettings(Section):
    """The numbers, the model that makes a probability of them, and how they are graded."""

    prior_events: PositiveFloat = Field(
        5.0, description="Events' worth of prior in every running mean."
    )
    max_raters: PositiveInt = Field(
        1000, description="Latest raters of a candidate that are asked what they liked besides."
    )
    max_events: PositiveInt = Field(
        500, description="Latest events of a user that neighbours are sought for."
    )
    factors: PositiveInt = Field(8, description="Rank of the factorisation of residuals.")
    factor_ridge: PositiveFloat = Field(9.0, description="Penalty of the factors' regressions.")
    text_components: PositiveInt = Field(
        24, description="Principal components of item texts that a user's regression reads."
    )
    text_ridge: PositiveFloat = Field(100.0, description="Penalty of that regression.")
    ease_l2: PositiveFloat = Field(200.0, description="Regularisation of EASE.")
    ease_items: PositiveInt = Field(
        3000, description="Items that EASE learns, those with most events."
    )
    model: Literal["blend", "lightgbm", "logistic"] = Field(
        "blend",
        description="What turns the numbers into a probability: boosted trees, logistic regression "
        "(the light choice), or both.",
    )
    max_trees: PositiveInt = Field(400, description="Boosting rounds at most.")
    leaves: int = Field(8, ge=2, description="Leaves of a tree; few keep exact facts quick.")
    learning_rate: PositiveFloat = Field(0.06, description="Of boosting.")
    min_leaf_events: PositiveInt = Field(100, description="Events that a leaf has at least.")
    logistic_penalty: PositiveFloat = Field(
        100.0, description="L2 penalty of the regression's weights, in events."
    )
    held_out: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="Share of what a model may see, the last in time, that chooses the number of "
        "trees and calibrates; then it is fitted on everything.",
    )
    time_blocks: int = Field(
        5,
        ge=2,
        description="Blocks of the training events by time; each is scored by a model of earlier "
        "blocks only, so the first has no score and no facts.",
    )
    level_cuts: tuple[float, ...] = Field(
        (0.10, 0.22, 0.34, 0.45, 0.55, 0.66, 0.78, 0.90),
        min_length=8,
        max_length=8,
        description="Probabilities that separate the nine levels of a verdict.",
    )
    strength_cuts: tuple[float, ...] = Field(
        (0.10, 0.30, 0.60),
        min_length=3,
        max_length=3,
        description="Absolute contributions (log-odds) from which a fact speaks slightly, plainly "
        "and strongly; below the first it is neutral and not offered.",
    )
    most_for: PositiveInt = Field(5, description="Facts for the item that a prompt offers at most.")
    most_against: PositiveInt = Field(5, description="Facts against it that it offers at most.")
    few_raters: PositiveInt = Field(
        5, description="An item with fewer raters is said to be hardly known."
    )
    few_events: PositiveInt = Field(
        5, description="A user with fewer events is said to be hardly known."
    )

    @model_validator(mode="after")
    def _cuts_rise(self) -> Self:
        for name in ("level_cuts", "strength_cuts"):
            cuts = getattr(self, name)
            if any(low >= high for low, high in pairwise(cuts)):
                raise ValueError(f"{name} {cuts} do not rise; write them in rising order")
        return self
