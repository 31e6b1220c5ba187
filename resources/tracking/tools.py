"""The trackers: which package each is, what it reads of the environment, how it is written to.

TRL's own callbacks write the curves of a training; what is here sets the variables that they (and
the tools themselves) read, and writes one set of numbers as a run of its own.
"""

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

Metrics = Mapping[str, float]
ToolName = Literal["trackio", "mlflow", "wandb", "tensorboard"]
_MLFLOW_BATCH = 1000  # metrics that one request may hold, by MLflow's own limit


@dataclass(frozen=True)
class Place:
    """Where a run is written."""

    folder: Path
    """Of the tool, in the home."""
    project: str
    run: str


class Tool(ABC):
    """One tracker."""

    module: ClassVar[str]
    """What is imported."""
    package: ClassVar[str]
    """What pip installs."""

    @abstractmethod
    def variables(self, place: Place) -> Mapping[str, str]:
        """Environment variables to set, so that it writes here; what the user has set stands."""

    @abstractmethod
    def write(self, place: Place, metrics: Metrics, about: Mapping[str, str]) -> None:
        """One run with these numbers, `about` as its parameters; in `TrackedRun.environment`."""

    def end(self) -> None:
        """End a run that is open; most of TRL's callbacks do it themselves."""
        return


class MLflow(Tool):
    """A SQLite file; `MLFLOW_TRACKING_URI` names another store or a server."""

    module = "mlflow"
    package = "mlflow-skinny"

    def variables(self, place: Place) -> Mapping[str, str]:
        """MLflow would tell its makers how it is used."""
        return _unset(
            MLFLOW_TRACKING_URI=f"sqlite:///{place.folder / 'mlflow.db'}",
            MLFLOW_EXPERIMENT_NAME=place.project,
            MLFLOW_DISABLE_TELEMETRY="true",
        )

    def write(self, place: Place, metrics: Metrics, about: Mapping[str, str]) -> None:
        """By a client of its own, so that no process-wide state of MLflow changes."""
        from mlflow.entities import Metric
        from mlflow.tracking import MlflowClient

        client = MlflowClient()
        name = os.environ["MLFLOW_EXPERIMENT_NAME"]
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
        run = client.create_run(experiment, run_name=place.run)
        for key, value in about.items():
            client.log_param(run.info.run_id, key, value)
        now = int(time.time() * 1000)
        found = [Metric(key, value, now, 0) for key, value in metrics.items()]
        for start in range(0, len(found), _MLFLOW_BATCH):
            client.log_batch(run.info.run_id, metrics=found[start : start + _MLFLOW_BATCH])
        client.set_terminated(run.info.run_id)


class Trackio(Tool):
    """A SQLite file per project; `TRACKIO_SPACE_ID` names a Space to send it to."""

    module = "trackio"
    package = "trackio"

    def variables(self, place: Place) -> Mapping[str, str]:
        """Trackio reads its folder when it is imported, and never again."""
        return _unset(TRACKIO_DIR=str(place.folder))

    def write(self, place: Place, metrics: Metrics, about: Mapping[str, str]) -> None:
        """All numbers as the one step of a run."""
        import trackio

        run = trackio.init(project=place.project, name=place.run, config=dict(about), embed=False)
        run.log(dict(metrics))
        trackio.finish()


class Wandb(Tool):
    """Offline runs, for `wandb sync`; `WANDB_MODE=online` sends them."""

    module = "wandb"
    package = "wandb"

    def variables(self, place: Place) -> Mapping[str, str]:
        """Neither the terminal nor the code is kept, which would tell more than numbers."""
        return _unset(
            WANDB_MODE="offline",
            WANDB_DIR=str(place.folder),
            WANDB_PROJECT=place.project,
            WANDB_CONSOLE="off",
            WANDB_DISABLE_CODE="true",
            WANDB_DISABLE_GIT="true",
            WANDB_ERROR_REPORTING="false",
            WANDB_SILENT="true",
        )

    def write(self, place: Place, metrics: Metrics, about: Mapping[str, str]) -> None:
        """All numbers as the one step of a run."""
        import wandb

        with wandb.init(name=place.run, config=dict(about), reinit="create_new") as run:
            run.log(dict(metrics))

    def end(self) -> None:
        """TRL's callback leaves that to the end of the process, which a step does not wait for."""
        if self.module in sys.modules:
            sys.modules[self.module].finish()


class TensorBoard(Tool):
    """Event files, a folder for each run; `TENSORBOARD_LOGGING_DIR` names another parent."""

    module = "tensorboard"
    package = "tensorboard"

    def variables(self, place: Place) -> Mapping[str, str]:
        """Also below the user's own folder each run has one, or they would be read as one."""
        parent = Path(os.environ.get("TENSORBOARD_LOGGING_DIR") or place.folder)
        return {"TENSORBOARD_LOGGING_DIR": str(parent / place.run)}

    def write(self, place: Place, metrics: Metrics, about: Mapping[str, str]) -> None:
        """All numbers as the one step of a run."""
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(os.environ["TENSORBOARD_LOGGING_DIR"]) as writer:
            for key, text in about.items():
                writer.add_text(key, text)
            for key, value in metrics.items():
                writer.add_scalar(key, value, 0)


TOOLS: Mapping[ToolName, Tool] = {
    "trackio": Trackio(),
    "mlflow": MLflow(),
    "wandb": Wandb(),
    "tensorboard": TensorBoard(),
}


def _unset(**variables: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in os.environ}
