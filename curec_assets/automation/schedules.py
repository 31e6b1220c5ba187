"""Schedules. All are stopped until somebody starts them: they cost hours of model work."""

import dagster as dg

from curec_assets.automation.jobs import retrain

weekly_retrain = dg.ScheduleDefinition(
    name="weekly_retrain",
    job=retrain,
    cron_schedule="0 3 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    tags={"curec/why": "a new week"},
    description="Sundays 03:00 UTC: a new training snapshot and new models.",
)

SCHEDULES = (weekly_retrain,)
