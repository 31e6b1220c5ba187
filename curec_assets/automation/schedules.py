"""Schedules. All are stopped until somebody starts them: they cost model work."""

import dagster as dg

from curec_assets.automation.jobs import refit, retrain

weekly_retrain = dg.ScheduleDefinition(
    name="weekly_retrain",
    job=retrain,
    cron_schedule="0 3 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    tags={"curec/why": "a new week"},
    description="Sundays 03:00 UTC: a new training snapshot and new models.",
)

daily_refit = dg.ScheduleDefinition(
    name="daily_refit",
    job=refit,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    tags={"curec/why": "a new day"},
    description="Every day 02:00 UTC: the recommender on all events up to now, by the language "
    "model that there is.",
)

SCHEDULES = (daily_refit, weekly_retrain)
