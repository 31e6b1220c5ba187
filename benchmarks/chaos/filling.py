"""Fills homes under kills, and without any."""

import json
import math
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from benchmarks.chaos.home import Home, Undisturbed
from benchmarks.chaos.plan import Kill
from benchmarks.chaos.runs import Disturbed, left_behind, run, wait_for_the_left_behind
from curec_assets.core.provenance import digest
from curec_assets.definitions import recipes
from resources.errors import CurecError

_REFERENCE = "undisturbed.json"


@dataclass
class Filled:
    """A home that was filled under kills."""

    kills: list[dict[str, Any]]
    """Each kill that fell: its plan, and `hit`: the steps that it fell into."""
    problems: list[str]
    silence: float
    """The longest time without a sign of life, in seconds."""
    obeyed: float = 0.0
    """The longest time from Ctrl-C to the end, in seconds."""

    @classmethod
    def read_all(cls, path: Path) -> list[Self]:
        """Those of a file; none when there is none."""
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [cls(**json.loads(line)) for line in lines]


def home_of(work: Path) -> Path:
    """Where `undisturbed` makes it."""
    return work / "undisturbed"


def undisturbed(work: Path) -> Undisturbed:
    """What a run makes that nobody disturbs; made once for the code that is there.

    Raises `SystemExit` when `work` is a folder of something else, or the run fails.
    """
    path = work / _REFERENCE
    code = digest({recipe.name: recipe.code_version for recipe in recipes()})
    if path.exists() and (found := Undisturbed.read(path)).code == code:
        return found
    if work.exists() and any(work.iterdir()) and not path.exists():
        raise SystemExit(f"{work} holds something else; name another folder with --work")
    shutil.rmtree(work, ignore_errors=True)  # of other code
    home = Home.make(home_of(work))
    ended = run(home, work / "undisturbed.log")
    if ended.code:
        raise SystemExit(f"the undisturbed run failed, see {work / 'undisturbed.log'}")
    assets = {recipe.name for recipe in recipes()}
    seconds = {step: took for step, took in ended.seconds.items() if step in assets}
    made = Undisturbed(code, home.data_versions(), len(home.completions()), seconds)
    path.write_text(json.dumps(asdict(made)), encoding="utf-8")
    return made


def fill(
    home: Home, kills: Sequence[Kill], reference: Undisturbed, until: float = math.inf
) -> Filled | None:
    """Fill a home under kills, then without, and compare it with the undisturbed one.

    What was done is kept beside the home, and what was said: `home.json`, `home.log`. `until`:
    monotonic time after which no attempt begins; None is returned, and the same call goes on.
    """
    log, record = (home.path.with_suffix(suffix) for suffix in (".log", ".json"))
    filled = Filled(**json.loads(record.read_text())) if record.exists() else Filled([], [], 0.0)
    try:
        for kill in kills[len(filled.kills) :]:
            if time.monotonic() > until:
                return None
            ended = run(home, log, kill, _waits(kill, reference))
            filled.silence = max(filled.silence, ended.silence)
            filled.obeyed = max(filled.obeyed, ended.obeyed)
            if not ended.killed and ended.code:
                raise Disturbed(f"it ended with {ended.code} before {kill}")
            if not ended.killed:
                break  # it was over
            filled.kills.append({**asdict(kill), "hit": ended.hit})
            record.write_text(json.dumps(asdict(filled)), encoding="utf-8")
            said = f"in {', '.join(ended.hit)}" if ended.hit else "between steps"
            print(f"  {kill.fault:<8} killed {said}", flush=True)
        if time.monotonic() > until and not left_behind(home):
            return None
        ended = run(home, log)
        filled.silence = max(filled.silence, ended.silence)
        if ended.code:
            filled.problems.append(f"the last run ended with {ended.code}")
        wait_for_the_left_behind(home)
        filled.problems += reference.differences(home)
    except (Disturbed, CurecError) as error:
        filled.problems.append(str(error))
    finally:
        for process in left_behind(home):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    return filled


def _waits(kill: Kill, reference: Undisturbed) -> dict[str, float]:
    """For the target and what comes after it: a step that is stored already is over too soon."""
    steps = list(reference.seconds)
    ahead = steps[steps.index(kill.target) :]
    return {step: kill.share * reference.seconds[step] for step in ahead}
