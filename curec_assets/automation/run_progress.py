"""What a run in this process shows in the terminal, and what it cost.

`RunProgress` listens to Dagster's own events through a Dagster logger, so nothing is measured
twice and the UI sees the same run.
"""

import logging
import sys
import time
from collections.abc import Mapping
from textwrap import shorten
from typing import Any, TextIO

import dagster as dg

from curec_assets.reports.costs import AssetCost, PeakMemory, RunCosts

_SECONDS_BETWEEN_LINES = 15.0


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

    def run_costs(self) -> RunCosts:
        """What the run cost so far."""
        return RunCosts(self.costs, self.check_seconds, self.memory)

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
        if kind in (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED):
            self._started = time.monotonic()
            self.memory.start_step()
        elif kind == dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._metadata[step] = event.step_materialization_data.materialization.metadata
        elif kind == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            self._checked(event.asset_check_evaluation_data)
        elif kind == dg.DagsterEventType.STEP_SUCCESS:
            self._ended(step)
        elif kind == dg.DagsterEventType.STEP_UP_FOR_RETRY:
            self._print(f"        {step} is tried again: {_root(event.step_retry_data.error)}")
        elif kind == dg.DagsterEventType.STEP_FAILURE:
            self._failed(step, event.step_failure_data.error)
        elif kind == dg.DagsterEventType.ENGINE_EVENT:
            pool = event.engine_event_data.metadata.get("pool")
            if pool is not None:
                self._print(f"        {step} waits for pool {pool.value!r}: another run holds it")

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
        self._print(f"        {step} FAILED")
        self.failure = self.failure or f"{step} failed: {_root(error)}"

    def _checked(self, check: dg.AssetCheckEvaluation) -> None:
        if not check.passed:
            where = f"{check.asset_key.to_user_string()}: {check.check_name}"
            said = shorten(check.description or "not passed", 160)
            self._print(f"        {check.severity.value.lower()} on {where}: {said}")

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def _root(error: Any) -> str:
    """What an error came from, in its own words."""
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "no error was recorded"
    # Its message begins with its class, which tells a user nothing.
    return str(error.message.strip().split(f"{error.cls_name}: ", 1)[-1])


def _value(metadata: Mapping[str, dg.MetadataValue], name: str) -> object:
    entry = metadata.get(name)
    return entry.value if entry is not None else None
