"""A run in processes of its own, which is watched through Dagster's records, and killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import psutil

from benchmarks.chaos.home import Home
from benchmarks.chaos.plan import Kill
from benchmarks.harness import ROOT
from curec_assets.automation.run_launcher import fail_dead_runs

HANGS = 120.0
"""Seconds without a sign of life that nothing may take."""
OBEYS = 30.0
"""Seconds that an end after Ctrl-C may take on a busy machine; 5 are aimed at."""
_LOOK = 0.05  # seconds between two looks
_DEMO = [sys.executable, "-m", "curec_assets.cli", "demo"]
_A_PROCESS_PER_STEP = [
    *(sys.executable, "-m", "dagster", "job", "execute"),
    *("--module-name", "curec_assets.definitions", "--job", "everything"),
]
_AS_CHILD = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]
_ENDS = {
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_UP_FOR_RETRY,
}


class Disturbed(Exception):
    """A run did what it must not do."""


@dataclass
class Watched:
    """What Dagster's records say of the run that began last."""

    instance: dg.DagsterInstance
    before: set[str]
    """Runs that were there already."""
    began: float = field(default_factory=time.monotonic)
    run_id: str = ""
    running: dict[str, float] = field(default_factory=dict)
    """Step → when it started, of those that have not ended."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Step → how long it took."""
    processes: dict[str, int] = field(default_factory=dict)
    """Step → its process, where it has one of its own."""
    silence: float = 0.0
    """The longest time without a new record, in seconds."""
    _heard: float = field(default_factory=time.monotonic)
    _cursor: str | None = None

    def look(self) -> None:
        """Read what is new. Raises `Disturbed` when nothing has been for `HANGS` seconds."""
        if not self.run_id:
            newest = [run.run_id for run in self.instance.get_runs(limit=1)]
            self.run_id = next((each for each in newest if each not in self.before), "")
        entries = []
        if self.run_id:
            found = self.instance.get_records_for_run(self.run_id, cursor=self._cursor)
            self._cursor = found.cursor
            entries = [record.event_log_entry for record in found.records]
        now = time.monotonic()
        self.silence = max(self.silence, now - self._heard)
        if entries:
            self._heard = now
        if now - self._heard > HANGS:
            raise Disturbed(f"no sign of life for {HANGS:.0f} s in {sorted(self.running)}")
        for entry in entries:
            self._take(entry)

    def _take(self, entry: dg.EventLogEntry) -> None:
        event, step = entry.dagster_event, entry.step_key
        if event is None or step is None:
            return
        if event.event_type == dg.DagsterEventType.STEP_WORKER_STARTED:
            self.processes[step] = int(str(event.engine_event_data.metadata["pid"].value))
        elif event.event_type == dg.DagsterEventType.STEP_START:
            self.running[step] = entry.timestamp
        elif event.event_type in _ENDS and step in self.running:
            self.seconds[step] = entry.timestamp - self.running.pop(step)


@dataclass(frozen=True)
class Ended:
    """How one attempt came to its end."""

    code: int
    """Exit code of what was started; negative: the signal that ended it."""
    killed: bool
    """Whether the kill fell: a run may be over before it."""
    hit: tuple[str, ...]
    """Steps that were being worked on when it did."""
    silence: float
    """The longest time without a new record, in seconds."""
    seconds: dict[str, float]
    obeyed: float = 0.0
    """Seconds from Ctrl-C to the end."""


def run(
    home: Home, log: Path, kill: Kill | None = None, waits: Mapping[str, float] | None = None
) -> Ended:
    """One attempt. `waits`: step → seconds from its start to the kill; what ends before is spared.

    Raises `Disturbed` when it hangs, or lives on after what should have ended it.
    """
    with home.instance() as instance:
        command = _DEMO
        if kill and kill.fault in ("step", "worker"):
            command = _A_PROCESS_PER_STEP
            for _ in fail_dead_runs(instance):  # as the daemon does every half minute
                pass
        elif kill and kill.fault == "parent":
            command = [*_AS_CHILD, *_DEMO]
        with _started(home, log, command) as process:
            watched = Watched(instance, {each.run_id for each in instance.get_runs()})
            killed = kill is not None and _until_killed(process, watched, kill, waits or {})
            hit = tuple(watched.running) if killed else ()
            obeyed = 0.0
            if killed and kill and kill.fault == "interrupt":
                obeyed = _until_obeyed(process, home)
            while process.poll() is None:  # a run ends by itself when one of its steps is killed
                watched.look()
                time.sleep(_LOOK)
            watched.look()
        return Ended(process.returncode, killed, hit, watched.silence, watched.seconds, obeyed)


@contextmanager
def _started(home: Home, log: Path, command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=home.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _until_killed(
    process: "subprocess.Popen[bytes]", watched: Watched, kill: Kill, waits: Mapping[str, float]
) -> bool:
    """Whether the kill fell before the run was over."""
    while process.poll() is None:
        watched.look()
        now = time.time()
        due = [
            step
            for step, started in watched.running.items()
            if step in waits and now >= started + waits[step]
        ]
        if due and kill.fault == "step":
            with suppress(psutil.NoSuchProcess):
                psutil.Process(watched.processes[due[0]]).kill()
                watched.running = {due[0]: watched.running[due[0]]}
                return True
        elif due and kill.fault in ("group", "interrupt"):
            gets = signal.SIGKILL if kill.fault == "group" else signal.SIGINT
            os.killpg(process.pid, gets)
            return True
        elif due:
            process.kill()
            return True
        time.sleep(_LOOK)
    return False


def _until_obeyed(process: "subprocess.Popen[bytes]", home: Home) -> float:
    """Seconds to the end. Raises `Disturbed` when it does not come, or something lives on."""
    began = time.monotonic()
    try:
        process.wait(timeout=OBEYS)
    except subprocess.TimeoutExpired as error:
        raise Disturbed(f"{OBEYS:.0f} s after Ctrl-C it still ran") from error
    took = time.monotonic() - began
    if orphans := left_behind(home):
        raise Disturbed(f"after Ctrl-C there are still {', '.join(str(o.pid) for o in orphans)}")
    return took


def left_behind(home: Home) -> list[psutil.Process]:
    """Processes that still work on the home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CUREC_HOME") == str(home.path):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_for_the_left_behind(home: Home) -> None:
    """Until none is there. Raises `Disturbed` after `HANGS` seconds."""
    deadline = time.monotonic() + HANGS
    while there := left_behind(home):
        if time.monotonic() > deadline:
            said = ", ".join(str(each.pid) for each in there)
            raise Disturbed(f"still there {HANGS:.0f} s after the last run: processes {said}")
        time.sleep(0.2)
