"""Where metrics are written besides the home's own records."""

from typing import Any

from pydantic import Field, field_validator

from curec_assets.settings.sections.base import OPERATIONAL, Section
from resources.tracking import ToolName


class TrackingSettings(Section):
    """Metrics of training and evaluation in a tracker, on this machine unless your own environment
    says otherwise.
    """

    report_to: tuple[ToolName, ...] = Field(
        (),
        description="`none`, or one or several of `trackio`, `mlflow`, `wandb`, `tensorboard`, "
        "which are installed beside CURec.",
        json_schema_extra=OPERATIONAL,
    )
    project: str = Field(
        "curec",
        min_length=1,
        description="Name of the tracker's project or experiment.",
        json_schema_extra=OPERATIONAL,
    )

    @field_validator("report_to", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        named = [value] if isinstance(value, str) else value
        if not isinstance(named, list | tuple):
            return named
        return () if list(named) == ["none"] else tuple(dict.fromkeys(named))
