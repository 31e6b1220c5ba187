"""The final recommender."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from curec_assets.settings.sections.base import Section


class RecommenderSettings(Section):
    """The final recommender, its evaluation, and what is recommended."""

    dim: PositiveInt = Field(32, description="Embedding dimension.")
    epochs: PositiveInt = Field(3, description="Most passes over the training events.")
    learning_rate: PositiveFloat = Field(3e-3, description="AdamW learning rate.")
    batch_size: PositiveInt = Field(1024, description="Events per step.")
    experts: PositiveInt = Field(2, description="Experts of each gated text adaptor.")
    seeds: PositiveInt = Field(
        3,
        description="Independent trainings per variant, of the small MLP and of boosted trees.",
    )
    max_trees: PositiveInt = Field(
        800, description="Boosting rounds at most; shape and pace of trees are the evidence's."
    )
    history_length: PositiveInt = Field(20, description="Latest history events that are read.")
    weight_decay: NonNegativeFloat = Field(1e-2, description="AdamW weight decay.")
    dropout: float = Field(0.2, ge=0.0, lt=1.0, description="Dropout of the hidden layer.")
    id_dropout: float = Field(
        0.05,
        ge=0.0,
        lt=1.0,
        description="Share of item ids replaced by the unknown id, so that it is learned.",
    )
    reason_components: NonNegativeInt = Field(
        16, description="Principal components of the reasons' embeddings that the rungs read."
    )
    reason_penalty: PositiveFloat = Field(
        10.0, description="L2 penalty of the weights of these components."
    )
    mlp_units: PositiveInt = Field(48, description="Hidden units of the small MLP.")
    mlp_epochs: PositiveInt = Field(8, description="Its passes over the training events.")
    mlp_learning_rate: PositiveFloat = Field(1e-3, description="Its Adam learning rate.")
    mlp_penalty: NonNegativeFloat = Field(1.0, description="L2 penalty of its weights.")
    ease_l2: tuple[PositiveFloat, ...] = Field(
        (30.0, 100.0, 300.0, 1000.0),
        min_length=1,
        description="Regularisations of EASE that are tried on validation.",
    )
    ease_items: PositiveInt = Field(
        10_000,
        description="Most liked items that EASE knows (it inverts a matrix of this size); it "
        "scores all others 0.",
    )
    smoothing: PositiveFloat = Field(
        5.0, description="Events of prior belief in every smoothed mean."
    )
    recent_half_life: PositiveFloat = Field(
        5.0, description="Events after which a user's older likes count half."
    )
    top_k: PositiveInt = Field(3, description="Items recommended, each with a reason.")
    considered: PositiveInt = Field(
        20, description="The ranker's best items that come into question for these."
    )
    least_probability: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="An item less likely to be liked is shown only where too few others are left.",
    )
    recommended_users: PositiveInt = Field(description="Users who get recommendations.")
    renewed_after_days: PositiveFloat = Field(
        7.0,
        description="Days, by the times of the events, after which a user's recommendations are "
        "made again though the user did nothing.",
    )
    bootstrap_samples: PositiveInt = Field(1000, description="Resamples of users per interval.")
