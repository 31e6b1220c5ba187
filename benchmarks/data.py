"""`make bench-data`: 25 million events and 2 million items in at most 8 GB; beside it RecBole.

Made-up events (`amazon_shaped`), in an inbox, arrive five million at a time; ledger, interactions
and splits by Dagster with their checks; then histories and evidence of events that are drawn from
all of them. Each stage is a process of its own. Then one million of the same events are read from
one file and split in time, by CURec and by RecBole 1.2.1 in turns (`make bench-load` does this
alone). Figures go into docs/operation.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import tables
from benchmarks.amazon_shaped import PART, Shape, embeddings, parts, write_catalogue
from benchmarks.data_stages import PROFILE, SPLIT_PROFILE
from benchmarks.harness import ROOT, Pairs, Record, Spread, pairs, write_records

COMMAND = "make bench-data"
BESIDE = "make bench-load"
_RECBOLE = ROOT / ".venv-recbole" / "bin" / "python"
_ARRIVAL = 5
"""Files that come together."""
_MOST_GIGABYTES = 8
Found = Mapping[str, Any]
"""What a stage's process says."""


def main() -> None:
    """Make, measure, keep the figures, renew the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--events", type=int, default=25_000_000)
    options.add_argument("--items", type=int, default=2_000_000)
    options.add_argument("--chosen", type=int, default=100_000, help="events that need evidence")
    options.add_argument("--count", type=int, default=3, help="turns of CURec and RecBole")
    options.add_argument("--recbole", type=Path, default=_RECBOLE, help="its Python")
    options.add_argument("--figures", type=Path, default=tables.DATA)
    options.add_argument("--load", action="store_true", help=f"as `{BESIDE}`: no stages")
    chosen = options.parse_args()
    if not chosen.recbole.exists():
        raise SystemExit(f"{chosen.recbole} is missing; `{BESIDE}` installs it")
    shape = Shape(chosen.events, chosen.items)
    with tempfile.TemporaryDirectory(prefix="curec-data-") as name:
        folder = Path(name)
        found = []
        if not chosen.load:
            found = records_of_stages(stages(folder, shape, chosen.chosen), shape, chosen.chosen)
        found += records_of_both(beside_recbole(folder, shape, chosen.recbole, chosen.count))
    write_records(chosen.figures, found)
    if chosen.figures == tables.DATA:
        tables.update_operation()
    print(tables.table(found))


def stages(folder: Path, shape: Shape, chosen: int) -> dict[str, list[Found]]:
    """Stage → what each of its processes said."""
    (folder / "inbox").mkdir()
    (folder / "embeddings").mkdir()
    (folder / "own.toml").write_text(PROFILE, encoding="utf-8")
    write_catalogue(shape, folder / "items.parquet")
    found: dict[str, list[Found]] = {"items": [in_a_process("items", folder)]}
    for number, rows in enumerate(parts(shape), 1):
        put(folder, f"{number:04}", rows)
        if number % _ARRIVAL == 0 or number * PART >= shape.events:
            for stage in ("ledger", "interactions"):
                found.setdefault(stage, []).append(in_a_process(stage, folder))
    for number, vectors in enumerate(embeddings(shape)):
        vectors.write_parquet(folder / "embeddings" / f"{number:04}.parquet")
    for stage in ("splits", "histories", "evidence"):
        found[stage] = [in_a_process(stage, folder, chosen)]
    return found


def put(folder: Path, name: str, rows: pl.DataFrame) -> None:
    """Into the inbox, and say that it is whole."""
    file = folder / "inbox" / f"{name}.parquet"
    rows.write_parquet(file)
    file.with_name(f"{file.name}.done").touch()


def in_a_process(stage: str, folder: Path, chosen: int = 0) -> Found:
    """What a stage says in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.data_stages", stage, str(folder), str(chosen)]
    return said(command, stage)


def said(command: list[str], what: str) -> Found:
    """The last line that a command prints, as JSON; an error ends everything."""
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{what}: {ran.stderr[-2000:]}")
    found: Found = json.loads(ran.stdout.splitlines()[-1])
    print(f"{what}: {json.dumps(found)}", flush=True)
    return found


def records_of_stages(found: Mapping[str, list[Found]], shape: Shape, chosen: int) -> list[Record]:
    """Seconds, events per second and memory of each stage."""
    of = {"items": (shape.items, "items/s"), "histories": (chosen, "events/s")}
    of["evidence"] = (chosen, "events/s")
    records = []
    for stage, runs in found.items():
        count, unit = of.get(stage, (shape.events, "events/s"))
        seconds = sum(run["seconds"] for run in runs)
        peak = max(run["gigabytes"] for run in runs)
        name = f"`{stage}` ({count:,})"
        records += [
            Record.of(f"{name}: time", seconds, "s", COMMAND),
            Record.of(f"{name}: throughput", count / seconds, unit, COMMAND),
            Record.of(f"{name}: memory", peak, "GB", COMMAND, f"<= {_MOST_GIGABYTES}"),
        ]
    slowest = found["evidence"][0]["parts"]
    records += [
        Record.of(f"`evidence`, {part}", seconds, "s", COMMAND) for part, seconds in slowest.items()
    ]
    return records


def beside_recbole(folder: Path, shape: Shape, python: Path, count: int) -> Pairs[Found]:
    """Both read the same file of at most a million events and split it, in turns."""
    file = folder / "curec" / "curec.inter"
    file.parent.mkdir()
    rows = next(parts(Shape(min(shape.events, PART), shape.items)))
    named = {"user_id": "token", "item_id": "token", "rating": "float", "timestamp": "float"}
    rows.rename({name: f"{name}:{kind}" for name, kind in named.items()}).write_csv(
        file, separator="\t"
    )
    (folder / "curec.tsv").hardlink_to(file)
    (folder / "split.toml").write_text(
        SPLIT_PROFILE.format(path=folder / "curec.tsv"), encoding="utf-8"
    )
    theirs = [str(python), "-W", "ignore", str(ROOT / "benchmarks" / "recbole_split.py")]
    return pairs(
        lambda: in_a_process("load and split", folder),
        lambda: said([*theirs, str(folder)], "RecBole"),
        count,
    )


def records_of_both(both: Pairs[Found]) -> list[Record]:
    """Times and memory, and how they compare."""

    def ratio(what: str) -> Spread:
        return both.ratio(lambda run: float(run.result[what]))

    seconds = ratio("seconds")
    faster = Spread(1 / seconds.value, 1 / seconds.high, 1 / seconds.low)
    events = sum(both.a[0].result["events"])
    name = f"{events:,} events from a file to splits"
    return [
        Record.of(f"{name}: {who}, {what}", spread, unit, BESIDE)
        for what, unit in (("seconds", "s"), ("gigabytes", "GB"))
        for who, spread in (
            ("CURec", both.of_a(lambda run, what=what: run.result[what])),  # type: ignore[misc]
            ("RecBole", both.of_b(lambda run, what=what: run.result[what])),  # type: ignore[misc]
        )
    ] + [
        Record.of(f"{name}: faster than RecBole", faster, "times", BESIDE, ">= 5"),
        Record.of(f"{name}: memory of RecBole's", ratio("gigabytes"), "share", BESIDE, "<= 0.5"),
    ]


if __name__ == "__main__":
    main()
