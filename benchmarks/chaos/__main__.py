"""`make chaos KILLS=100`: kills runs of `curec demo` at random and looks what is left; resumable.

Home after home is filled under kills, drawn from a seed: the same command is run again after each
until it comes to its end. Then the home must be what an undisturbed run makes (see
`Undisturbed.differences`), and nothing may have been without a sign of life for two minutes. What
is done is kept in the folder of the work; the same command goes on after it.
"""

import argparse
import contextlib
import itertools
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import psutil

from benchmarks import tables
from benchmarks.chaos.filling import Filled, fill, undisturbed
from benchmarks.chaos.home import Home
from benchmarks.chaos.plan import FAULTS, plans
from benchmarks.harness import Record, write_records

COMMAND = "make chaos"
BY_STEP = "make chaos, by step"
_DONE = "homes.jsonl"


def records(done: Sequence[Filled]) -> list[Record]:
    """One per fault, what else has to hold, and how often each step was hit."""
    held: Counter[str] = Counter()
    made: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    for home in done:
        for kill in home.kills:
            made[kill["fault"]] += 1
            held[kill["fault"]] += not home.problems
            hit.update(kill["hit"] or [""])
    found = [
        Record.of(f"{fault}: {what}", held[fault], f"of {n}", COMMAND, f">= {n}")
        for fault, what in FAULTS.items()
        if (n := made[fault])
    ]
    longest = max(home.silence for home in done)
    found.append(Record.of("longest time without a sign of life", longest, "s", COMMAND, "<= 120"))
    if made["interrupt"]:
        obeyed = max(home.obeyed for home in done)
        found.append(Record.of("longest time from Ctrl-C to the end", obeyed, "s", COMMAND, "<= 5"))
    found += [
        Record.of(
            f"kills in {step}" if step else "kills between steps", n, f"of {made.total()}", BY_STEP
        )
        for step, n in hit.most_common()
    ]
    return found


def main() -> None:
    """Kill until there are as many kills as wanted; renew figures and page after each home."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=20260101)
    options.add_argument(
        "--work", type=Path, default=Path(".curec-chaos"), help="folder to work in"
    )
    options.add_argument("--jobs", type=int, default=1, help="homes at once")
    options.add_argument("--minutes", type=float, default=float("inf"), help="then stop for now")
    options.add_argument("--figures", type=Path, default=tables.CHAOS)
    chosen = options.parse_args()
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, _end)
    work = chosen.work.resolve()
    began = time.monotonic()
    reference = undisturbed(work)
    done = Filled.read_all(work / _DONE)
    ahead = itertools.islice(plans(chosen.seed, list(reference.seconds)), len(done), None)
    until = began + 60 * chosen.minutes
    while (fallen := sum(len(home.kills) for home in done)) < chosen.kills:
        numbers = range(len(done) + 1, len(done) + 1 + chosen.jobs)
        paths = [work / f"home-{number}" for number in numbers]
        said = f"home {numbers[0]}" if len(numbers) == 1 else f"homes {numbers[0]} to {numbers[-1]}"
        print(f"{said}, {fallen} of {chosen.kills} kills so far", flush=True)
        planned = [kills[: chosen.kills - fallen] for kills in itertools.islice(ahead, len(paths))]
        with ThreadPoolExecutor(len(paths)) as threads:  # a home's runs are processes of their own
            filled = list(
                threads.map(
                    lambda path, kills: fill(Home.make(path), kills, reference, until),
                    paths,
                    planned,
                )
            )
        until_unfinished = itertools.takewhile(lambda each: each is not None, filled)
        whole = [each for each in until_unfinished if each is not None]
        for path, each in zip(paths, whole, strict=False):
            with (work / _DONE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(each)) + "\n")
            print(*(f"  {said}" for said in each.problems or ["all as it should be"]), sep="\n")
            if not each.problems:
                shutil.rmtree(path)
            done.append(each)
        if done:
            write_records(chosen.figures, records(done))
        if chosen.figures == tables.CHAOS:
            tables.update_operation()
        if len(whole) < len(filled):
            print("time is over; the same command goes on")
            break
    broken = [home for home in done if home.problems]
    print(tables.table([r for r in records(done) if r.command == COMMAND]) if done else "")
    raise SystemExit(bool(broken))


def _end(signum: int, _frame: object) -> NoReturn:
    """End at once, with all that was started: threads that wait for it would go on."""
    print("ended; the same command goes on", flush=True)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    os._exit(128 + signum)


if __name__ == "__main__":
    main()
