"""Runs that have not ended: whoever changes what they read waits for them."""

import dagster as dg


def unended_run(instance: dg.DagsterInstance, but: str | None = None) -> str:
    """A run that has not ended, in words; empty when there is none, `but` this one."""
    runs = instance.get_runs(
        dg.RunsFilter(
            statuses=[
                dg.DagsterRunStatus.QUEUED,
                dg.DagsterRunStatus.NOT_STARTED,
                dg.DagsterRunStatus.STARTING,
                dg.DagsterRunStatus.STARTED,
                dg.DagsterRunStatus.CANCELING,
            ]
        )
    )
    others = [run for run in runs if run.run_id != but]
    return f"run {others[0].run_id} ({others[0].job_name})" if others else ""
