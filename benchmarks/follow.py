"""`make bench-follow`: what new, late, corrected and deleted events cost, beside a full run.

MovieLens 100K in an inbox, with the models of the profile `laptop`: all but the last hundredth of
the events; all again, with nothing new; then that hundredth, then, once no reason waits any more,
single events, each in one run over the fast lane. Tokens are those that are written, by the kept
completions. It begins anew each time: what came before would be part of what is measured.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import dagster as dg
import polars as pl

from benchmarks.harness import ROOT, Record, write_records
from benchmarks.tables import FOLLOW, update_operation
from benchmarks.thinned import items_with_attributes
from curec_assets.automation.interruption import interruptible
from curec_assets.automation.lanes import FAST, INGEST
from curec_assets.datasets.sources.movielens import MovieLensSource
from curec_assets.definitions import build_definitions, default_resources
from resources.storage.manifest import Manifest

COMMAND = "make bench-follow"
_PROFILE = ROOT / "benchmarks" / "follow.toml"
_FOLDER = ROOT / ".curec" / "follow"  # which the profile names
_NEW = 0.01
_LASTING = ("live_reasons", "recommendations")
_MODEL_STEPS = ("live_reasons", "recommendations", "generated_reasons", "reason_embeddings")
_NOTHING = "materialise all, nothing new"
_WAITING = "further runs, until no reason waits"


@dataclass(frozen=True)
class Cost:
    """Of one run."""

    seconds: float
    model_seconds: float
    """Of steps that ask a language model or an encoder."""
    tokens: int


def main() -> None:
    """Fill, follow, keep the figures, renew the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--figures", type=Path, default=FOLLOW)
    figures = options.parse_args().figures
    shutil.rmtree(_FOLDER / "home", ignore_errors=True)
    events = write_files(_FOLDER / "files")
    full = filled()
    new = events.tail(round(_NEW * events.height))
    costs = {_NOTHING: run([])}
    costs[f"{new.height} new events"] = after(new, "1")
    costs[_WAITING] = until_none_waits()
    single = new.tail(1)
    a_month_late = single.with_columns(pl.col("timestamp") - 30 * 86_400)
    costs["one late event"] = after(a_month_late, "2")
    costs["one corrected event"] = after(single.with_columns(rating=pl.lit(1.0)), "3")
    costs["one deleted event"] = after(single.with_columns(operation=pl.lit("delete")), "4")
    found = [
        Record.of("full run", full.seconds, "s", COMMAND),
        Record.of("full run, tokens written", full.tokens, "", COMMAND),
    ]
    for name, cost in costs.items():
        found.append(Record.of(f"{name}, tokens", cost.tokens, "", COMMAND, _target(name, full)))
        limit = f"<= {round(0.05 * full.seconds)}" if "new" in name and name != _NOTHING else None
        found.append(
            Record.of(name, cost.seconds, "s", COMMAND, "<= 30" if name == _NOTHING else limit)
        )
        rest = cost.seconds - cost.model_seconds
        aim = "<= 60" if name not in (_NOTHING, _WAITING) else None
        found.append(Record.of(f"{name}, without model work", rest, "s", COMMAND, aim))
    found.append(Record.of("new events with a reason", with_reason(new), "", COMMAND, ">= 1"))
    write_records(figures, found)
    if figures == FOLLOW:
        update_operation()
    print("\n".join(f"{r.name:<50} {r.value:,.1f} {r.unit} {r.target or ''}" for r in found))


def _target(name: str, full: Cost) -> str | None:
    if name == _NOTHING:
        return "<= 0"
    return f"<= {round(0.02 * full.tokens)}" if "new events" in name else None


def write_files(folder: Path) -> pl.DataFrame:
    """All but the newest events into the inbox, and the items; gives all events, by time."""
    home = _FOLDER / "home"
    source = MovieLensSource(default_resources("laptop", home.resolve())["downloads"])
    events = (
        pl.concat([source.interactions(file) for file in source.files()])
        .select("user_id", "item_id", "rating", "timestamp")
        .sort("timestamp", "user_id", "item_id")
    )
    inbox = folder / "inbox"
    shutil.rmtree(inbox, ignore_errors=True)
    inbox.mkdir(parents=True)
    put(events.head(events.height - round(_NEW * events.height)), "0")
    items_with_attributes(source.items()).write_csv(folder / "items.csv")
    return events


def put(rows: pl.DataFrame, name: str) -> None:
    """Into the inbox, and say that it is whole."""
    file = _FOLDER / "files" / "inbox" / f"{name}.csv"
    rows.write_csv(file)
    file.with_name(f"{file.name}.done").touch()


def filled() -> Cost:
    """The full run, in a process of its own as `make demo` is."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "curec_assets.cli", "demo", "--profile", str(_PROFILE)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True)
    return Cost(time.perf_counter() - began, 0.0, tokens())


def after(rows: pl.DataFrame, name: str) -> Cost:
    """What it costs when these rows have come."""
    put(rows, name)
    return run([*INGEST, *FAST])


def until_none_waits() -> Cost:
    """What the sensor asks for next: run after run over what waits."""
    found = Cost(0.0, 0.0, 0)
    while waiting := [name for name in _LASTING if manifest_of(name).metrics["waiting"]]:
        one = run(waiting)
        found = Cost(*(a + b for a, b in zip(astuple(found), astuple(one), strict=True)))
    return found


def manifest_of(table: str) -> Manifest:
    """Of a table of the home."""
    warehouse = default_resources(str(_PROFILE), _FOLDER / "home")["warehouse"]
    found: Manifest = warehouse.existing_manifest(table)
    return found


def run(assets: list[str]) -> Cost:
    """One run in this process, of some assets or all."""
    os.environ |= environment()
    before, began = tokens(), time.perf_counter()
    definitions = build_definitions(profile=str(_PROFILE), home=_FOLDER / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        result = interruptible(
            definitions.resolve_job_def("everything"),
            instance,
            asset_selection=[dg.AssetKey(name) for name in assets] or None,
        )
    seconds = time.perf_counter() - began
    model = sum(
        event.step_success_data.duration_ms / 1e3
        for event in result.all_events
        if event.event_type_value == "STEP_SUCCESS" and event.step_key in _MODEL_STEPS
    )
    cost = Cost(seconds, model, tokens() - before)
    print(cost, flush=True)
    return cost


def tokens() -> int:
    """Of all completions that the home keeps."""
    total = 0
    for journal in (_FOLDER / "home" / "models").rglob("completions.jsonl"):
        for line in journal.read_bytes().splitlines():
            completions = json.loads(line.split(b" ", 2)[2])
            total += sum(len(each["token_ids"]) for each in completions)
    return total


def with_reason(new: pl.DataFrame) -> float:
    """Share of the newest of these, as many as are asked for, that have a reason."""
    warehouse = default_resources(str(_PROFILE), _FOLDER / "home")["warehouse"]
    live = warehouse.read("live_reasons")
    wanted = min(live.height, new.height)
    return live.filter(pl.col("reason") != "").height / max(wanted, 1)


def environment() -> dict[str, str]:
    """Of every process of this home."""
    dagster_home = _FOLDER / "home" / "dagster"
    dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "deploy" / "dagster.yaml", dagster_home)
    return {
        **os.environ,
        "CUREC_HOME": str(_FOLDER / "home"),
        "DAGSTER_HOME": str(dagster_home),
        "CUREC_PROFILE": str(_PROFILE),
    }


if __name__ == "__main__":
    main()
