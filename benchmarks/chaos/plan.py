"""Which process is killed where: drawn from a seed, spread over the steps of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

FAULTS = {
    "step": "a step's process, of a run with a process per step",
    "worker": "the process of such a run, its steps left behind",
    "process": "the process of `curec demo`",
    "group": "the whole process group of `curec demo`",
    "parent": "what started `curec demo`, which runs on beside the next",
    "interrupt": "Ctrl-C in the terminal of `curec demo`",
}
"""Fault → the process that gets the SIGKILL; the last is a SIGINT to the group."""
_OFTEN = {
    "step": 1,
    "worker": 1,
    "process": 3,
    "group": 3,
    "parent": 1,
    "interrupt": 2,
}  # a process per step is slow
_MOST = 6  # kills of one home
_LAST = {"step", "parent"}  # the run goes on, and makes the rest


@dataclass(frozen=True)
class Kill:
    """One SIGKILL, or Ctrl-C."""

    fault: str
    """Of `FAULTS`."""
    target: str
    """The asset in whose step it is to fall, or in the first after it that is still to be made."""
    share: float
    """After which share of the step's undisturbed time."""


def plans(seed: int, steps: Sequence[str]) -> Iterator[list[Kill]]:
    """The kills of one home after the other, for ever; `steps`: assets in the order of a run.

    Every step is aimed at once before any is aimed at again. The kills of a home follow the order
    of the run, for what is made is not made again. The kill of a step, which is tried once more,
    or of a parent is a home's last: the run goes on and makes the rest.
    """
    random = Random(seed)
    ahead: list[str] = []
    while True:
        faults: list[str] = []
        while len(faults) < _MOST and _LAST.isdisjoint(faults):
            faults += random.choices(list(_OFTEN), list(_OFTEN.values()))
        while len(ahead) < len(faults):
            ahead += random.sample(list(steps), len(steps))
        chosen, ahead = ahead[: len(faults)], ahead[len(faults) :]
        chosen.sort(key=list(steps).index)
        yield [
            Kill(fault, step, random.random()) for fault, step in zip(faults, chosen, strict=True)
        ]
