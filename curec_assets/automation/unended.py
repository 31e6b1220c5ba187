"""Runs that have not ended: whoever changes what they read waits for them."""

import dagster as dg


def unended_run(instance: dg.DagsterInstance) -> str:
    """A run that has not ended, in words; empty when there is none."""
    runs = instance.get_runs(
        dg.RunsFilter(
            statuses=[
                dg.DagsterRunStatus.QUEUED,
                dg.DagsterRunStatus.NOT_STARTED,
                dg.DagsterRunStatus.STARTING,
                dg.DagsterRunStatus.STARTED,
                dg.DagsterRunStatus.CANCELING,
            ]
        ),
        limit=1,
    )
    return " ".join(f"run {run.run_id} ({run.job_name})" for run in runs)
