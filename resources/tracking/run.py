"""One run of one asset, as the chosen trackers know it."""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from resources.errors import ConfigError, EngineError
from resources.tracking.tools import TOOLS, Metrics, Place, ToolName

Measures = Mapping[str, float | None]
_PREFIXES = ("MLFLOW_", "TENSORBOARD_", "TRACKIO_", "WANDB_")


def require_installed(tools: Sequence[ToolName]) -> None:
    """Raises `ConfigError` where one of `tracking.report_to` cannot be imported."""
    for name in tools:
        if find_spec(TOOLS[name].module) is None:
            raise ConfigError(
                f"tracking.report_to is {name!r}, but the Python package {TOOLS[name].module!r} is "
                f"not installed; `pip install {TOOLS[name].package}`, or set tracking.report_to to "
                "'none'"
            )


@dataclass(frozen=True)
class TrackedRun:
    """Where the numbers of a run go."""

    tools: tuple[ToolName, ...]
    project: str
    folder: Path
    """What is written on this machine is below it, in a folder for each tool."""
    name: str

    def trainer_arguments(self) -> dict[str, Any]:
        """What TRL's configurations are told."""
        if not self.tools:
            return {"report_to": []}
        return {"report_to": list(self.tools), "run_name": self.name, "project": self.project}

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Within the block the trackers, and TRL's callbacks for them, write below `folder`.

        They read their settings from the environment and nowhere else. What the user has set there
        stands; all of it is put back at the end.
        """
        before = _tracker_variables()
        for name in self.tools:
            place = self._place(name)
            place.folder.mkdir(parents=True, exist_ok=True)
            os.environ.update(TOOLS[name].variables(place))
        try:
            yield
        finally:
            for name in self.tools:
                TOOLS[name].end()
            for variable in _tracker_variables():
                del os.environ[variable]
            os.environ.update(before)

    def report(self, measure: Callable[[], Measures], about: Mapping[str, str]) -> None:
        """Write what was measured as a run of its own, once to each tool; what is undefined not.

        Raises `EngineError` where a tool fails; the next call tries it again.
        """
        for name in self.tools:
            done = self.folder / "reported" / f"{name}-{self.name}"
            if done.exists():
                continue
            try:
                with replace(self, tools=(name,)).environment():
                    TOOLS[name].write(self._place(name), _plain(measure()), about)
            except Exception as error:
                raise EngineError(
                    f"tracking.report_to: {name} did not take the numbers of {self.name}: "
                    f"{error!r}; they are stored here all the same. Set the tool right and run "
                    "again, or set tracking.report_to to 'none'"
                ) from error
            done.parent.mkdir(exist_ok=True)
            done.touch()

    def _place(self, name: ToolName) -> Place:
        return Place(self.folder / name, self.project, self.name)


UNTRACKED = TrackedRun((), "", Path(), "")
"""Goes nowhere."""


def _tracker_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIXES)}


def _plain(measures: Measures) -> Metrics:
    """Under names that every tool takes, without what is no number."""
    return {
        re.sub(r"[^\w./-]", "_", name): float(value)
        for name, value in measures.items()
        if value is not None and math.isfinite(value)
    }
