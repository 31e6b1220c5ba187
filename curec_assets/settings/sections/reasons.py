"""Which events get a reason, and its correction."""

from pydantic import Field, NonNegativeInt, PositiveInt

from curec_assets.settings.sections.base import Section


class ReasonSettings(Section):
    """Which events get a reason, and the chronological correction."""

    users: PositiveInt = Field(description="Users whose events get reasons (seeded sample).")
    rounds: PositiveInt = Field(description="Events per user, walked in time order.")
    max_regenerations: NonNegativeInt = Field(
        2, description="Attempts after the first before the composer's reason is used."
    )
    correction: bool = Field(True, description="Whether notes are corrected by outcomes.")
