"""Ranking in two stages."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from curec_assets.settings.sections.base import Section


class RankingSettings(Section):
    """Retrievers that propose, and a learned ranker that orders what they propose."""

    model: Literal["lightgbm", "linear"] = Field(
        "lightgbm",
        description="What orders: LambdaMART, or a linear conditional logit. Both are evaluated.",
    )
    table_items: PositiveInt = Field(
        4000,
        description="Most frequent items that item-item tables know (EASE inverts a matrix of this "
        "size); others are proposed by popularity, newness and text.",
    )
    ease_l2_likes: PositiveFloat = Field(300.0, description="Regularisation of EASE on likes.")
    ease_l2_all: PositiveFloat = Field(
        1000.0, description="Regularisation of EASE on all interactions."
    )
    neighbours: PositiveInt = Field(50, description="Neighbours of an item in item k-NN.")
    wide: PositiveInt = Field(
        80, description="Items that each table of items and text proposes at most."
    )
    narrow: PositiveInt = Field(
        30, description="Items that popularity and newness propose at most, each."
    )
    candidates: PositiveInt = Field(
        240, description="Items that are proposed to the ranker at most, by their best place."
    )
    refit_share: float = Field(
        0.025,
        gt=0.0,
        le=1.0,
        description="Tables of items are fitted again after this share of the training events.",
    )
    learn_from: float = Field(
        0.6,
        ge=0.0,
        lt=1.0,
        description="Share of the training events, by time, after which likes teach the ranker; "
        "earlier ones only fill the tables.",
    )
    contexts: PositiveInt = Field(
        20_000, description="Likes that teach the ranker at most: a seeded sample."
    )
    validation_contexts: PositiveInt = Field(
        2000, description="Likes of validation that stop its training at most: a seeded sample."
    )
    negatives: PositiveInt = Field(
        60, description="Other candidates beside the liked one in a training list."
    )
    rounds: PositiveInt = Field(500, description="Most trees.")
    patience: PositiveInt = Field(30, description="Trees without gain after which training stops.")
    leaves: int = Field(31, ge=2, description="Leaves of a tree.")
    learning_rate: PositiveFloat = Field(0.06, description="Of the trees.")
    ridge: PositiveFloat = Field(1.0, description="Penalty of the linear ranker's weights.")
    ranked_events: PositiveInt | None = Field(
        None,
        description="Liked events of a split that are ranked among all items; unset: all of them. "
        "Else a seeded sample, the same for every recommender.",
    )
    text_weights: tuple[PositiveFloat, ...] = Field(
        (0.05, 0.1, 0.2, 0.4),
        min_length=1,
        description="Weights of the text cosine beside EASE that the peer 'ease_text' tries on "
        "validation.",
    )
