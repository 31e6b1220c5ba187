"""The process of a step ends when the run that started it is gone.

A step that goes on after a SIGKILL of its run would work beside the next attempt at the same step,
on the same unfinished work, and hold memory that nobody accounts for.
"""

import multiprocessing
import os
import signal
import threading


def end_with_the_run() -> None:
    """Kill this process as soon as the one that started it is gone; nothing in a run's own."""
    run = multiprocessing.parent_process()
    if run is None:
        return

    def watch() -> None:
        run.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="end with the run", daemon=True).start()
