"""`make bench-incremental`: what new events cost, beside what is stored.

Synthetic events with a heavy tail, in an inbox, through Dagster: ledger, batches, quarantine,
interactions, with their checks. For each size a store is filled, then 10,000 events are
added three times, each in a process of its own. Figures go into docs/operation.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import tables
from benchmarks.harness import ROOT, Record, Spread, write_records
from resources.compute.memory import peak_bytes

COMMAND = "make bench-incremental"
_ADDED = 10_000
_TIMES = 3
_START = 1_600_000_000
_PROFILE = """
extends = "smoke"

[data]
source = "files"
interactions_path = "inbox"
items_path = "items.parquet"
"""
_ASSETS = ("events", "batches", "quarantine", "raw_items", "items", "interactions")


def main() -> None:
    """Fill, add, measure, keep the figures, renew the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--small", type=int, default=100_000, help="events stored at first")
    options.add_argument("--large", type=int, default=10_000_000, help="and in the large store")
    options.add_argument("--figures", type=Path, default=tables.INCREMENTAL)
    options.add_argument("--materialise", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.materialise:
        print(json.dumps(materialise(chosen.materialise)))
        return
    small, large = (measured(size) for size in (chosen.small, chosen.large))
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(small, large, strict=True)]
    peak = max(run["gigabytes"] for run in large)
    found = [
        Record.of(
            f"adding {_ADDED:,} events to {size:,}",
            Spread.of([run["seconds"] for run in runs]),
            "s",
            COMMAND,
        )
        for size, runs in ((chosen.small, small), (chosen.large, large))
    ]
    found.append(Record.of("the one over the other", Spread.of(ratios), "times", COMMAND, "<= 3"))
    found.append(Record.of("peak memory of the large one", peak, "GB", COMMAND, "<= 4"))
    found += [
        Record.of(f"`{name}`, large", run["assets"][name], "s", COMMAND)
        for run in large[-1:]
        for name in _ASSETS
    ]
    write_records(chosen.figures, found)
    if chosen.figures == tables.INCREMENTAL:
        tables.update_operation()
    print("\n".join(f"{r.name:<40} {r.value:.2f} {r.unit} {r.target or ''}" for r in found))


def measured(stored: int) -> list[dict[str, Any]]:
    """What each addition to a store of this size took."""
    with tempfile.TemporaryDirectory(prefix="curec-incremental-") as name:
        folder = Path(name)
        (folder / "inbox").mkdir()
        (folder / "own.toml").write_text(_PROFILE, encoding="utf-8")
        random = np.random.default_rng(0)
        users, items = max(stored // 50, 100), max(stored // 12, 100)
        ids = pl.Series("item_id", [f"i{number}" for number in range(items)])
        ids.to_frame().with_columns(title=pl.format("Item {}", ids)).write_parquet(
            folder / "items.parquet"
        )
        put(folder, "0", events(random, stored, users, items, begin=0))
        first = in_a_process(folder)
        print(
            f"{stored:,} stored: {first['seconds']:.1f} s, {first['gigabytes']:.2f} GB", flush=True
        )
        found = []
        for time_ in range(1, _TIMES + 1):
            put(folder, str(time_), events(random, _ADDED, users, items, begin=time_))
            found.append(in_a_process(folder))
            print(f"  {_ADDED:,} more: {found[-1]}", flush=True)
        return found


def events(
    random: np.random.Generator, count: int, users: int, items: int, *, begin: int
) -> pl.DataFrame:
    """Users and items by a Pareto law, in the `begin`-th year."""
    return pl.DataFrame(
        {
            "user_id": [
                f"u{n}" for n in (random.pareto(1.2, count) * users / 20).astype(int) % users
            ],
            "item_id": [
                f"i{n}" for n in (random.pareto(1.1, count) * items / 50).astype(int) % items
            ],
            "rating": random.integers(1, 6, count).astype(float),
            "timestamp": _START + begin * 31_000_000 + random.integers(0, 30_000_000, count),
        }
    )


def put(folder: Path, name: str, rows: pl.DataFrame) -> None:
    """Into the inbox, and say that it is whole."""
    rows.write_parquet(folder / "inbox" / f"{name}.parquet")
    (folder / "inbox" / f"{name}.parquet.done").touch()


def in_a_process(folder: Path) -> dict[str, Any]:
    """What `materialise` says, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.incremental", "--materialise", str(folder)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(ran.stderr[-2000:])
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def materialise(folder: Path) -> dict[str, Any]:
    """One run over the assets of new data; its seconds, those of each asset, and peak memory."""
    import dagster as dg

    from curec_assets.definitions import build_definitions

    os.environ["TQDM_DISABLE"] = "1"
    definitions = build_definitions(profile=str(folder / "own.toml"), home=folder / "home")
    started = time.perf_counter()
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("everything").execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(name) for name in _ASSETS]
        )
    seconds = time.perf_counter() - started
    peak = peak_bytes() / 1e9
    steps = {
        event.step_key: event.step_success_data.duration_ms / 1e3
        for event in result.all_events
        if event.event_type_value == "STEP_SUCCESS" and event.step_key
    }
    assets = {
        name: round(
            sum(
                spent
                for step, spent in steps.items()
                if step == name or step.startswith(f"{name}_")
            ),
            3,
        )
        for name in _ASSETS
    }
    return {"seconds": seconds, "gigabytes": peak, "assets": assets}


if __name__ == "__main__":
    main()
