"""When new data is too far from the training snapshot."""

from pydantic import Field, PositiveFloat, PositiveInt

from curec_assets.settings.sections.base import Section


class DriftSettings(Section):
    """How far new events may be from the snapshot before the sensor `drift` asks for `retrain`."""

    least_events: PositiveInt = Field(
        100, description="New events below which nothing is concluded from their rates."
    )
    new_share: PositiveFloat = Field(
        0.2, description="New events / events of the snapshot, from which on it is old."
    )
    like_rate_shift: PositiveFloat = Field(
        0.1, description="Difference between the like rates of new events and of the snapshot."
    )
    unknown_items: PositiveFloat = Field(
        0.3, description="Share of new events whose item the snapshot does not have."
    )
    log_loss_rise: PositiveFloat = Field(
        0.1,
        description="Nats by which the evidence model tells the outcomes of new events (those of "
        "`live_reasons`) worse than the snapshot's test events.",
    )
