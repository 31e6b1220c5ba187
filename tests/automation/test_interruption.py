"""A signal ends a run at once, whichever thread of the process the system hands it to."""

import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPTED = """
import signal, threading, time
import dagster as dg
from curec_assets.automation.interruption import interruptible

@dg.op
def long_work():
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # not to the thread that waits
    time.sleep(60)

@dg.job
def work():
    long_work()

if __name__ == "__main__":
    with dg.DagsterInstance.ephemeral() as instance:
        interruptible(work, instance)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signal to a thread")
def test_it_ends_a_run_though_another_thread_gets_it(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(INTERRUPTED, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert ended.returncode == 130, ended.stderr[-2000:]
    assert "ended by SIGINT" in ended.stderr
