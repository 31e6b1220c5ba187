"""What trackers hold on disk, by their own readers."""

from pathlib import Path

from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Runs = dict[str, dict[str, list[float]]]
"""Run → metric → its values in the order of steps."""


def mlflow_runs(folder: Path, project: str = "curec") -> Runs:
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(project)
    return {
        run.info.run_name: {
            name: [each.value for each in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        for run in client.search_runs([experiment.experiment_id])
    }


def tensorboard_runs(folder: Path) -> Runs:
    found: Runs = {}
    for run in (folder / "tensorboard").iterdir():
        events = EventAccumulator(str(run)).Reload()
        found[run.name] = {
            name: [each.value for each in events.Scalars(name)] for name in events.Tags()["scalars"]
        }
    return found
