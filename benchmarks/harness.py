"""Runs two things in turns, and keeps what was measured as records of `docs/figures/*.json`.

compared = pairs(ours, theirs, count=5)
spread = compared.ratio(lambda run: run.result / run.seconds)   # our rate over theirs
records = [Record.of("speed against theirs", spread, "times", "make bench-x", ">= 3")]
write_records(SPEED, records)
"""

import argparse
import datetime
import gc
import json
import math
import operator
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Generic, Self, TypeVar

from resources.compute.cores import cores

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
SPEED = ROOT / "docs" / "figures" / "speed.json"
"""The figures of `make bench-speed`."""

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Run(Generic[T]):
    """One timed call."""

    seconds: float
    result: T


@dataclass(frozen=True)
class Spread:
    """Median and range of repeated measurements."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Pairs(Generic[T]):
    """Runs of two things in turns: run n of `a` was just before run n of `b`."""

    a: tuple[Run[T], ...]
    b: tuple[Run[T], ...]

    def of_a(self, measure: Callable[[Run[T]], float]) -> Spread:
        """`measure` over the runs of `a`."""
        return Spread.of([measure(run) for run in self.a])

    def of_b(self, measure: Callable[[Run[T]], float]) -> Spread:
        """`measure` over the runs of `b`."""
        return Spread.of([measure(run) for run in self.b])

    def ratio(self, measure: Callable[[Run[T]], float]) -> Spread:
        """`measure` of `a` over that of `b`, pair by pair: what slows both down cancels out."""
        return Spread.of([measure(a) / measure(b) for a, b in zip(self.a, self.b, strict=True)])

    def speed_up(self) -> Spread:
        """Time of `b` over time of `a`, pair by pair: how many times faster `a` is."""
        return self.ratio(lambda run: 1.0 / run.seconds)


def pairs(a: Callable[[], T], b: Callable[[], T], count: int = 5, warmup: int = 1) -> Pairs[T]:
    """Call A B A B ..., `count` times each, after `warmup` calls of each that are not kept."""
    first, second = turns([a, b], count, warmup)
    return Pairs(first, second)


def turns(
    calls: Sequence[Callable[[], T]], count: int = 5, warmup: int = 1
) -> list[tuple[Run[T], ...]]:
    """As `pairs`, for any number of things: A B C A B C ...; the runs of each, in order."""
    for _ in range(warmup):
        for call in calls:
            call()
    rounds = [[timed(call) for call in calls] for _ in range(count)]
    return list(zip(*rounds, strict=True))


def timed(call: Callable[[], T]) -> Run[T]:
    """Call it once, with no garbage left over from before."""
    gc.collect()
    started = time.perf_counter()
    result = call()
    return Run(time.perf_counter() - started, result)


@dataclass(frozen=True)
class Record:
    """One figure. `holds` follows from the others."""

    name: str
    value: float
    low: float
    """`low` to `high`: range or interval; both equal `value` where there is one measurement."""
    high: float
    unit: str
    target: str | None
    """`>= 3`, `<= 1.1`; None where nothing is promised."""
    holds: bool | None = field(init=False)
    command: str
    """What measures it again, such as `make bench-speed-sft`."""
    cores: int = field(default_factory=cores)
    date: str = field(default_factory=lambda: datetime.date.today().isoformat())

    def __post_init__(self) -> None:
        object.__setattr__(self, "holds", self.target and holds(self.value, self.target))

    @classmethod
    def of(
        cls,
        name: str,
        measured: Spread | float,
        unit: str,
        command: str,
        target: str | None = None,
    ) -> Self:
        """From measurements, kept to five significant digits."""
        spread = measured if isinstance(measured, Spread) else Spread.of([measured])
        value, low, high = (_rounded(x) for x in (spread.value, spread.low, spread.high))
        return cls(name, value, low, high, unit, target, command)

    @classmethod
    def read(cls, values: dict[str, Any]) -> Self:
        """From an object of the file."""
        return cls(**{name: value for name, value in values.items() if name != "holds"})


def holds(value: float, target: str) -> bool:
    """Whether `value` meets `target`, such as `>= 3`. Raises `ValueError` for another form."""
    sign, _, bound = target.partition(" ")
    if sign not in _COMPARISONS:
        raise ValueError(f"target {target!r} is not of the form '>= 3' or '<= 3'")
    return _COMPARISONS[sign](value, float(bound))


def read_records(path: Path) -> list[Record]:
    """All records of a file; none when there is no file yet."""
    if not path.exists():
        return []
    return [Record.read(values) for values in json.loads(path.read_text(encoding="utf-8"))]


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Replace the records of the commands that `records` come from; keep all others. Atomic."""
    commands = {record.command for record in records}
    kept = [record for record in read_records(path) if record.command not in commands]
    every = sorted([*kept, *records], key=lambda record: record.command)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    text = json.dumps([asdict(record) for record in every], indent=1, ensure_ascii=False)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has: `--home`, `--count`, `--figures`."""
    options = argparse.ArgumentParser(description=(description or "").split("\n", 1)[0])
    options.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("CUREC_HOME") or ".curec"),
        help="home that `make demo` filled; read only",
    )
    options.add_argument("--count", type=int, default=5, help="pairs of runs")
    options.add_argument("--figures", type=Path, default=SPEED, help="file of records to update")
    return options


def _rounded(value: float) -> float:
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, 4 - math.floor(math.log10(abs(value))))
