"""The processes of a vLLM engine: none is left, and nobody waits for one that is gone.

Each function here fixes something that vLLM 0.32 leaves open; `engine` is the `engine_core` of its
`LLMEngine`.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import connection
from typing import Any

_CLOSE_SECONDS = 30.0  # vLLM's own 5 are too few for its worker, and it is then killed


def close(engine: Any) -> None:
    """End the engine's processes, and the sockets to them, which vLLM leaves to chance."""
    engine.shutdown(timeout=_CLOSE_SECONDS)
    engine.output_queue_thread.join(timeout=_CLOSE_SECONDS)
    if not engine.output_queue_thread.is_alive():  # sockets are for one thread at a time
        engine.ctx.destroy(linger=0)


@contextmanager
def interruptible() -> Iterator[None]:
    """While vLLM starts, an interruption ends the processes that it has started, then itself acts.

    An exception in the midst of vLLM's start leaves both sides waiting for each other for ever;
    that its processes have died it does notice.
    """
    import psutil

    if threading.current_thread() is not threading.main_thread():
        yield  # only there can signals be handled, and only there do they arrive
        return
    before = {process.pid for process in multiprocessing.active_children()}
    received: list[int] = []

    def handle(number: int, frame: Any) -> None:
        started = [p for p in multiprocessing.active_children() if p.pid not in before]
        if received or not started:
            signal.signal(number, handlers[number])
            signal.raise_signal(number)
        received.append(number)
        for process in started:
            with suppress(psutil.NoSuchProcess):
                family = psutil.Process(process.pid)
                for member in (*family.children(recursive=True), family):
                    member.kill()

    handlers: dict[int, Any] = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    for number in handlers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def notice_death(engine: Any) -> None:
    """Wake up who waits for the engine's answer when its process has died, killed for instance.

    vLLM itself does so only where the engine could still say that it was failing; else it waits
    for ever.
    """
    from vllm.v1.engine.exceptions import EngineDeadError

    sentinels = [process.sentinel for process in engine.resources.engine_manager.processes]

    def wait() -> None:
        connection.wait(sentinels)
        engine.outputs_queue.put_nowait(EngineDeadError())

    threading.Thread(target=wait, name="engine's end", daemon=True).start()


_WATCH = """
import os, signal, sys
if not sys.stdin.read():
    for pid in map(int, sys.argv[1:]):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
"""


@contextmanager
def killed_with_us(engine: Any) -> Iterator[None]:
    """While the block runs, the engine ends with this process even if this one is killed.

    vLLM's engine does not notice that, and would go on holding its memory for ever. The guard is a
    small process that waits for the end of a pipe, which comes when this process is no more.
    """
    processes = engine.resources.engine_manager.processes
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCH, *(str(process.pid) for process in processes)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Control-C in a terminal is not meant for it
        text=True,
    )
    try:
        yield
    finally:
        guard.communicate("closed")


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """With these variables, and afterwards exactly as it was: vLLM sets a dozen of its own."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
