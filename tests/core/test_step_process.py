"""A step does not outlive its run."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

STARTS_A_STEP = """
import multiprocessing, sys, time
from curec_assets.core.step_process import end_with_the_run

def step(queue):
    end_with_the_run()
    queue.put(multiprocessing.current_process().pid)
    time.sleep(600)

if __name__ == "__main__":
    end_with_the_run()  # of no run: nothing happens
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    process = context.Process(target=step, args=(queue,))
    process.start()
    print(queue.get(), flush=True)
    process.join()
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_step_ends_when_its_run_is_killed(tmp_path: Path, method: str) -> None:
    script = tmp_path / "run.py"
    script.write_text(STARTS_A_STEP, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(script), method], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        step = psutil.Process(int(run.stdout.readline()))
        try:
            assert step.is_running()
            run.kill()
            step.wait(timeout=20)
        finally:
            if step.is_running():
                step.kill()
