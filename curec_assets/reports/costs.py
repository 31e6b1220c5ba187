"""What a run cost: time and memory per asset, as a table, and kept in a file."""

import datetime
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curec_assets.reports.outcome import text_table
from resources.compute.cores import cores
from resources.compute.memory import peak_bytes

log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class RunCosts:
    """What a run cost so far."""

    assets: Sequence[AssetCost]
    check_seconds: float
    """Time of the steps that only check."""
    memory: "PeakMemory"


def cost_table(run: RunCosts, total: float) -> str:
    """Time and memory of a whole run that took `total` seconds, imports included."""
    rows = [
        [
            cost.name,
            f"{cost.seconds:.1f}",
            f"{cost.seconds / total:.1%}",
            f"{cost.peak_gigabytes:.2f}",
            "cached" if cost.cached else "",
        ]
        for cost in run.assets
    ]
    overhead = total - sum(cost.work_seconds for cost in run.assets)
    peak = "peak GB" if run.memory.of_each_step else "peak GB so far"
    table = text_table(["asset", "seconds", "share", peak, ""], rows)
    return (
        f"{table}\n\ntotal {total:.1f} s, peak memory {run.memory.of_run():.2f} GB; "
        f"orchestration {overhead:.1f} s ({overhead / total:.1%}), of which checks "
        f"{run.check_seconds:.1f} s"
    )


def write_costs(path: Path, run: RunCosts, profile: str, total: float) -> None:
    """Keep what each asset cost in `path` (JSON), for `benchmarks/memory.py` and whoever asks.

    A cached asset keeps the costs of the run that made it, if that was of the same profile. What
    the whole cost (`total`: seconds, imports included) is kept of a run that made every asset,
    until one of them is made again.
    """
    before = _costs_before(path)
    earlier = before if before.get("profile") == profile else {}
    where = {"cores": cores(), "date": datetime.date.today().isoformat()}
    made = {
        cost.name: {**asdict(cost), "peak_of_step": run.memory.of_each_step, **where}
        for cost in run.assets
        if not cost.cached
    }
    whole = None if made else earlier.get("whole")
    if made and len(made) == len(run.assets):
        whole = {"seconds": total, "peak_gigabytes": run.memory.of_run(), **where}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    assets = {**earlier.get("assets", {}), **made}
    values = {"profile": profile, "whole": whole, "assets": assets}
    temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def _costs_before(path: Path) -> dict[str, Any]:
    """What the file says; nothing where there is none, or it is damaged, for no result needs it."""
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        log.warning("%s is damaged (%s): what earlier runs cost is left out of it", path, error)
        return {}
    return found


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
        peak = peak_bytes() / 2**30
        self._run = max(self._run, peak)
        return peak

    def of_run(self) -> float:
        """Peak since this object was made."""
        self._run = max(self._run, peak_bytes() / 2**30)
        return self._run

    def _forget(self) -> bool:
        self._run = max(self._run, peak_bytes() / 2**30)
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            return False
        return True
