"""Requests of erasure in the inbox: the sensor that sees them, and the job that answers them."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import dagster as dg

from curec_assets.automation.attempts import ATTEMPTS, Asked
from curec_assets.automation.unended import unended_run
from curec_assets.core.step_process import end_with_the_run
from curec_assets.datasets.sources.erasure_requests import request_files
from curec_assets.datasets.sources.inbox import state
from curec_assets.settings import Settings
from resources.storage.model_store import ModelStore


@dg.op(description="`curec forget --requests`, in a process of its own: it waits for no pool.")
def forget_requested(
    context: dg.OpExecutionContext, settings: Settings, model_store: ModelStore
) -> None:
    """Take everybody out of the home whom the requests name."""
    end_with_the_run()
    command = [sys.executable, "-m", "curec_assets.cli", "forget", "--requests"]
    command += ["--within", context.run_id, "--profile", settings.profile]
    said = ""
    with subprocess.Popen(
        command,
        env={**os.environ, "CUREC_HOME": str(Path(model_store.root).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            for line in process.stdout or ():
                context.log.info(said := line.rstrip())
        except BaseException:  # such as the end of the run, which this block would wait for
            process.terminate()
            raise
    if process.returncode:
        raise dg.Failure(f"the users were not forgotten: {said}", allow_retries=False)


@dg.job(
    description="Takes everybody out of the home whom files NAME.forget in the inbox name, makes "
    "the fast lane again from what is left, and proves that nothing knows them any more."
)
def forget_users() -> None:
    """One op."""
    forget_requested()


@dg.sensor(
    name="erasure_requests",
    job_name=forget_users.name,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=15,
    description="Asks for `forget_users` when a file NAME.forget lies in the inbox, with the id of "
    "a user on each line. The file is removed when that is done.",
)
def erasure_requests(
    context: dg.SensorEvaluationContext, settings: Settings
) -> dg.SensorResult | dg.SkipReason:
    """The run's tags name the files, and nobody."""
    files = request_files(settings.resolve().data)
    if not files:
        return dg.SkipReason("no file in the inbox asks for it")
    busy = unended_run(context.instance)
    if busy:
        return dg.SkipReason(f"waits for the end of {busy}")
    there = json.dumps([[file.name, *state(file)] for file in files])
    asked = Asked(**json.loads(context.cursor)) if context.cursor else Asked()
    what = hashlib.sha256(there.encode()).hexdigest()
    if what != asked.what:
        asked = Asked(what)
    names = ", ".join(file.name for file in files)
    if asked.in_vain:
        return dg.SkipReason(f"asked {ATTEMPTS} times in vain ({names}); see the last run's error")
    if wait := asked.wait():
        return dg.SkipReason(f"tries again in {wait:.0f} s: {names}")
    asked = asked.once_more()
    request = dg.RunRequest(
        run_key=f"{what} {asked.attempts}",
        tags={"curec/why": f"requests of erasure: {names}", "curec/attempt": str(asked.attempts)},
    )
    return dg.SensorResult(run_requests=[request], cursor=json.dumps(asdict(asked)))
