"""A run in this process that SIGINT and SIGTERM end at once.

While Dagster waits for a pool slot it only notes these signals, and looks at them after the wait,
which may be never. It does so in the main thread alone; so the run gets a thread of its own.
"""

import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable
from types import FrameType

import dagster as dg
import psutil

_SECONDS_BETWEEN_LOOKS = 0.5
"""The system may hand a signal to any thread; the one that waits here looks for it so often."""
_SECONDS_TO_RECORD = 3.0
"""How long the end of the process waits for the run to be recorded as cancelled."""


def interruptible(
    job: dg.JobDefinition, instance: dg.DagsterInstance, **arguments: object
) -> dg.ExecuteInProcessResult:
    """`job.execute_in_process` that a signal ends at once, by the end of this process.

    What the run has stored is kept; it is recorded as cancelled and its pool slots are freed. To be
    called in the main thread.
    """
    run_id = str(uuid.uuid4())
    outcome: list[dg.ExecuteInProcessResult | BaseException] = []

    def work() -> None:
        try:
            outcome.append(
                job.execute_in_process(instance=instance, run_id=run_id, **arguments)  # type: ignore[arg-type]
            )
        except BaseException as error:  # handed to the caller's thread
            outcome.append(error)

    def end(number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        _within(_SECONDS_TO_RECORD, lambda: _record_cancelled(instance, run_id, name))
        for child in psutil.Process().children(recursive=True):
            child.kill()
        said = f"\ncurec: ended by {name}; what was made is kept, the same command goes on\n"
        os.write(terminal, said.encode())
        os._exit(128 + number)  # the run's thread cannot be ended otherwise

    terminal = os.dup(sys.stderr.fileno())  # Dagster sends a step's standard error to a file
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=work, name="run", daemon=True)
    try:
        thread.start()
        while thread.is_alive():
            thread.join(_SECONDS_BETWEEN_LOOKS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(terminal)
    [result] = outcome
    if isinstance(result, BaseException):
        raise result
    return result


def _record_cancelled(instance: dg.DagsterInstance, run_id: str, by: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is not None:
        instance.report_run_canceled(run, f"The run was ended by {by}.")
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def _within(seconds: float, call: Callable[[], None]) -> None:
    """Call it in a thread, and leave it behind when it takes longer: the run may hold a lock."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
