"""Fills homes under kills, and without any."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.chaos.home import Home, Undisturbed
from benchmarks.chaos.plan import Kill
from benchmarks.chaos.runs import Disturbed, left_behind, run, wait_for_the_left_behind
from curec_assets.core.provenance import digest
from curec_assets.definitions import recipes
from resources.errors import CurecError

_REFERENCE = "undisturbed.json"


@dataclass(frozen=True)
class Filled:
    """A home that was filled under kills."""

    kills: list[dict[str, Any]]
    """Each kill that fell: its plan, and `hit`: the steps that it fell into."""
    problems: list[str]
    silence: float
    """The longest time without a sign of life, in seconds."""

    @classmethod
    def read_all(cls, path: Path) -> list[Self]:
        """Those of a file; none when there is none."""
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [cls(**json.loads(line)) for line in lines]


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
    home = Home.make(work / "undisturbed")
    ended = run(home, work / "undisturbed.log")
    if ended.code:
        raise SystemExit(f"the undisturbed run failed, see {work / 'undisturbed.log'}")
    assets = {recipe.name for recipe in recipes()}
    seconds = {step: took for step, took in ended.seconds.items() if step in assets}
    made = Undisturbed(code, home.data_versions(), len(home.completions()), seconds)
    path.write_text(json.dumps(asdict(made)), encoding="utf-8")
    return made


def fill(home: Home, kills: Sequence[Kill], reference: Undisturbed, log: Path) -> Filled:
    """Fill a home under kills, then without, and compare it with the undisturbed one."""
    fallen: list[dict[str, Any]] = []
    problems: list[str] = []
    silence = 0.0
    try:
        for kill in kills:
            ended = run(home, log, kill, after=kill.share * reference.seconds[kill.target])
            silence = max(silence, ended.silence)
            if not ended.killed and ended.code:
                raise Disturbed(f"it ended with {ended.code} before {kill}")
            if not ended.killed:
                break  # it was over
            fallen.append({**asdict(kill), "hit": ended.hit})
            said = f"in {', '.join(ended.hit)}" if ended.hit else "between steps"
            print(f"  {kill.fault:<8} killed {said}", flush=True)
        ended = run(home, log)
        silence = max(silence, ended.silence)
        if ended.code:
            problems.append(f"the last run ended with {ended.code}")
        wait_for_the_left_behind(home)
        problems += reference.differences(home)
    except (Disturbed, CurecError) as error:
        problems.append(str(error))
    finally:
        for process in left_behind(home):
            process.kill()
    return Filled(fallen, problems, silence)
