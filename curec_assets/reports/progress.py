"""What a run in this process shows in the terminal, and what it cost.

`RunProgress` listens to Dagster's own events through a Dagster logger, so nothing is measured
twice and the UI sees the same run.
"""

import datetime
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, TextIO

import dagster as dg

from curec_assets.reports.outcome import text_table

_SECONDS_BETWEEN_LINES = 15.0


@dataclass(frozen=True)
class AssetCost:
    """What one asset of a run cost."""

    name: str
    seconds: float
    """Wall time of its step, Dagster's part included."""
    work_seconds: float
    """Its own work, 0 when it was cached."""
    cached: bool
    peak_gigabytes: float
    """Largest memory of the process during the step; where the system cannot tell, up to its end
    (`PeakMemory.of_each_step`)."""


class RunProgress(logging.Handler):
    """Prints a line per asset, and keeps what each cost."""

    def __init__(self, total_assets: int, out: TextIO = sys.stdout) -> None:
        super().__init__(level=logging.DEBUG)
        self.costs: list[AssetCost] = []
        self.check_seconds = 0.0
        """Time of the steps that only check."""
        self.failure: str | None = None
        """What went wrong first, if anything did."""
        self._total = total_assets
        self._out = out
        self._started = 0.0
        self._told = 0.0
        self._metadata: dict[str, Mapping[str, dg.MetadataValue]] = {}
        self.memory = PeakMemory()

    def logger(self) -> dg.LoggerDefinition:
        """The Dagster logger that feeds this object; give it to `build_definitions`."""

        def progress(_context: dg.InitLoggerContext) -> logging.Logger:
            logger = logging.Logger("curec.progress", level=logging.DEBUG)
            logger.addHandler(self)
            return logger

        return dg.LoggerDefinition(progress, description="One line per asset.")

    def emit(self, record: logging.LogRecord) -> None:
        """Take one Dagster log record."""
        meta = getattr(record, "dagster_meta", {})
        event: dg.DagsterEvent | None = meta.get("dagster_event")
        if event is None:
            message = str(meta.get("orig_message", record.getMessage()))
            # Dagster tells of every step that a failure keeps from running; the failure is enough.
            if record.levelno >= logging.WARNING and not message.startswith("Dependencies for"):
                self._print(f"        {record.levelname.lower()}: {message}")
            elif record.levelno == logging.INFO:
                self._within(message)
            return
        kind, step = event.event_type, event.step_key or ""
        if kind == dg.DagsterEventType.STEP_START:
            self._started = time.monotonic()
            self.memory.start_step()
        elif kind == dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._metadata[step] = event.step_materialization_data.materialization.metadata
        elif kind == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            self._checked(event.asset_check_evaluation_data)
        elif kind == dg.DagsterEventType.STEP_SUCCESS:
            self._ended(step)
        elif kind == dg.DagsterEventType.STEP_FAILURE:
            self._failed(step, event.step_failure_data.error)

    def _within(self, message: str) -> None:
        """A line from inside a long step, now and then."""
        now = time.monotonic()
        if now - max(self._started, self._told) >= _SECONDS_BETWEEN_LINES:
            self._told = now
            self._print(f"        {message}")

    def _ended(self, step: str) -> None:
        seconds = time.monotonic() - self._started
        metadata = self._metadata.pop(step, None)
        if metadata is None:
            self.check_seconds += seconds
            return
        cached = bool(_value(metadata, "cached"))
        manifest: Any = _value(metadata, "manifest") or {}
        work = 0.0 if cached else float(manifest.get("seconds") or 0.0)
        self.costs.append(AssetCost(step, seconds, work, cached, self.memory.of_step()))
        count = f"[{len(self.costs):2}/{self._total}]"
        self._print(f"{count} {step:<26} {seconds:7.1f} s{'  cached' if cached else ''}")

    def _failed(self, step: str, error: Any) -> None:
        while error is not None and error.cause is not None:
            error = error.cause
        reason = "no error was recorded"
        if error is not None:  # its message begins with its class, which tells a user nothing
            reason = error.message.strip().split(f"{error.cls_name}: ", 1)[-1]
        self._print(f"        {step} FAILED")
        self.failure = self.failure or f"{step} failed: {reason}"

    def _checked(self, check: dg.AssetCheckEvaluation) -> None:
        if not check.passed:
            where = f"{check.asset_key.to_user_string()}: {check.check_name}"
            said = shorten(check.description or "not passed", 160)
            self._print(f"        {check.severity.value.lower()} on {where}: {said}")

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def cost_table(progress: RunProgress, total: float) -> str:
    """Time and memory of a whole run that took `total` seconds, imports included."""
    rows = [
        [
            cost.name,
            f"{cost.seconds:.1f}",
            f"{cost.seconds / total:.1%}",
            f"{cost.peak_gigabytes:.2f}",
            "cached" if cost.cached else "",
        ]
        for cost in progress.costs
    ]
    overhead = total - sum(cost.work_seconds for cost in progress.costs)
    peak = "peak GB" if progress.memory.of_each_step else "peak GB so far"
    table = text_table(["asset", "seconds", "share", peak, ""], rows)
    return (
        f"{table}\n\ntotal {total:.1f} s, peak memory {progress.memory.of_run():.2f} GB; "
        f"orchestration {overhead:.1f} s ({overhead / total:.1%}), of which checks "
        f"{progress.check_seconds:.1f} s"
    )


def _value(metadata: Mapping[str, dg.MetadataValue], name: str) -> object:
    entry = metadata.get(name)
    return entry.value if entry is not None else None


def write_costs(path: Path, progress: RunProgress, profile: str) -> None:
    """Keep what each asset cost in `path` (JSON), for `benchmarks/memory.py` and whoever asks.

    A cached asset keeps the costs of the run that made it, if that was of the same profile.
    """
    before: dict[str, Any] = {}
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
    kept = before.get("assets", {}) if before.get("profile") == profile else {}
    made = {
        cost.name: {
            **asdict(cost),
            "peak_of_step": progress.memory.of_each_step,
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            "date": datetime.date.today().isoformat(),
        }
        for cost in progress.costs
        if not cost.cached
    }
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    values = {"profile": profile, "assets": {**kept, **made}}
    temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


class PeakMemory:
    """Largest resident memory of this process, in GB (2^30 bytes): of a step, and of the run.

    Linux can forget the peak so far (5 written to /proc/self/clear_refs, `man 5 proc`), so each
    step has its own. Elsewhere a step's peak is that of the process up to its end.
    """

    def __init__(self) -> None:
        self._run = 0.0
        self.of_each_step = self._forget()
        """Whether `of_step` is of the step alone."""

    def start_step(self) -> None:
        """From here on a new step's peak counts."""
        self._forget()

    def of_step(self) -> float:
        """Peak since `start_step`."""
        peak = _peak_gigabytes()
        self._run = max(self._run, peak)
        return peak

    def of_run(self) -> float:
        """Peak since this object was made."""
        self._run = max(self._run, _peak_gigabytes())
        return self._run

    def _forget(self) -> bool:
        self._run = max(self._run, _peak_gigabytes())
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return False
        return True


def _peak_gigabytes() -> float:
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:", 1)[1].split(maxsplit=1)[0]) / 2**20
    except (OSError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**30 if sys.platform == "darwin" else peak / 2**20
