"""vLLM's engine processes end with the block that opened them, however it is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from resources.compute.accelerator import Accelerator
from resources.errors import EngineError
from resources.generation.protocol import GeneratorOptions, Prompt, Sampling
from resources.generation.vllm.engine import installed
from resources.generation.vllm.generator import VllmFactory
from resources.models.checkpoint import BaseCheckpoint

if not installed():
    pytest.skip("vLLM is not installed: `make test-vllm` runs these", allow_module_level=True)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("default"),  # vLLM's own, in an environment of other versions
]

Start = Callable[[str], "subprocess.Popen[str]"]
SCRIPT = Path(__file__).with_name("writing_process.py")


@pytest.fixture
def start(smollm2: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(ending: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(smollm2), ending],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # its descendants are told by their session
        )
        started.append(process)
        return process

    yield run
    for process in started:
        for left in _session(process.pid):
            left.kill()


def _session(leader: int) -> list[psutil.Process]:
    """Living processes of the session, its leader apart."""
    found = []
    for process in psutil.process_iter():
        try:
            member = process.pid != leader and os.getsid(process.pid) == leader
            if member and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def _read_until(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdout is not None
    seen = []
    for text in process.stdout:
        seen.append(text)
        if text.strip() == line:
            return
    pytest.fail(f"{line!r} was not reached:\n{''.join(seen[-40:])}")


def _end(process: "subprocess.Popen[str]") -> str:
    """What the process still says; its family is gone soon after it."""
    said, _ = process.communicate(timeout=120)
    deadline = time.monotonic() + 60
    while left := _session(process.pid):
        assert time.monotonic() < deadline, f"left behind: {left}\n{said[-3000:]}"
        time.sleep(0.2)
    return said


def test_nothing_is_left_after_success(start: Start) -> None:
    process = start("success")
    _read_until(process, "written")
    assert _session(process.pid), "the engine has a process of its own"
    said = _end(process)
    assert process.returncode == 0, said
    assert "closed" in said
    assert "force killing" not in said, "the engine had time to end by itself"


def test_nothing_is_left_after_an_exception(start: Start) -> None:
    process = start("exception")
    _read_until(process, "written")
    said = _end(process)
    assert process.returncode == 1
    assert "LookupError: meant" in said


@pytest.mark.parametrize("whom", ["process", "group"])
@pytest.mark.parametrize("when", ["opening", "written"])
def test_nothing_is_left_after_an_interruption(start: Start, whom: str, when: str) -> None:
    """`group` is Control-C in a terminal; `process` is what Dagster sends to a step."""
    process = start("wait")
    _read_until(process, when)
    if when == "opening":
        deadline = time.monotonic() + 600  # importing vLLM takes long on a busy machine
        while len(_session(process.pid)) < 2:  # the engine's process has been started
            assert time.monotonic() < deadline
            time.sleep(0.05)
    time.sleep(1.0)
    if whom == "group":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    said = _end(process)
    assert process.returncode not in (0, None)
    assert "KeyboardInterrupt" in said
    assert "closed" not in said


def test_nothing_is_left_when_the_process_is_killed(start: Start) -> None:
    process = start("wait")
    _read_until(process, "written")
    process.kill()
    _end(process)


def test_an_engine_that_dies_is_an_error_that_says_so(smollm2: Path) -> None:
    prompts = [Prompt((("user", "drama"),))]
    before = set(psutil.Process().children(recursive=True))
    with (
        pytest.raises(EngineError, match=r"engine died.*run again"),
        VllmFactory(accelerator=Accelerator()).open(
            BaseCheckpoint(smollm2), None, GeneratorOptions(2, 64, 16)
        ) as generator,
    ):
        generator.write(prompts, Sampling(4))
        engine = set(psutil.Process().children(recursive=True)) - before
        for process in engine:
            if "tracker" not in " ".join(process.cmdline()):
                process.kill()
        generator.write(prompts, Sampling(4))
    psutil.wait_procs(engine, timeout=10)
    assert not [left for left in engine if left.is_running() and "tracker" not in _command(left)]


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return "tracker"


def test_a_start_that_fails_is_explained(smollm2: Path) -> None:
    """Longer texts than the model has positions for."""
    with (
        pytest.raises(EngineError, match=r"(?s)could not load.*lower language_model"),
        VllmFactory(accelerator=Accelerator()).open(
            BaseCheckpoint(smollm2), None, GeneratorOptions(2, 9000, 16)
        ),
    ):
        pass
