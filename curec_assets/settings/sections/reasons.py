"""Which events get a reason, and its correction."""

from pydantic import Field, NonNegativeInt, PositiveInt

from curec_assets.settings.sections.base import Section


class ReasonSettings(Section):
    """Which events get a reason, and the chronological correction.

    A count at or above what there is means all of it.
    """

    train_events: NonNegativeInt = Field(
        description="Training events that get reasons: of the policy fold, less those that the "
        "language model was fitted on."
    )
    validation_events: NonNegativeInt = Field(description="Validation events that get reasons.")
    test_events: NonNegativeInt = Field(description="Test events that get reasons.")
    run_length: PositiveInt = Field(
        4,
        description="Consecutive events of a user that are drawn together, so that notes can be "
        "corrected from one to the next.",
    )
    events_at_once: PositiveInt = Field(
        32,
        description="Events of different users that are walked at once, at least, where there are "
        "so many: fewer leave the language model idle.",
    )
    max_level_gap: NonNegativeInt = Field(
        1,
        le=8,
        description="Levels that a reason may be away from the evidence model's before it is "
        "written again.",
    )
    max_regenerations: NonNegativeInt = Field(
        2, description="Attempts after the first before the composer's reason is used."
    )
    correction: bool = Field(True, description="Whether notes are corrected by outcomes.")
    live_events: NonNegativeInt = Field(
        200,
        description="Newest events since the snapshot that have a reason; each new one is written "
        "once.",
    )
    budget: PositiveInt = Field(
        256,
        description="Reasons that the policy newly writes in one run for new events, and as many "
        "for recommendations that change; the rest has the composer's, marked as waiting, until a "
        "later run.",
    )
