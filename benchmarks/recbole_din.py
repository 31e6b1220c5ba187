"""RecBole 1.2.1's DIN on our rows, in its own environment and process (`recbole_driver`)."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import polars as pl

from benchmarks.harness import ROOT
from curec_assets.recommender.dataset import EventTables
from curec_assets.settings import RecommenderSettings
from resources.compute.cores import cores

PYTHON = ROOT / ".venv-recbole" / "bin" / "python"
"""Has benchmarks/requirements-recbole.txt."""
_PATIENCE = 3  # epochs
DEFAULT_HIDDEN = [256, 256, 256]
"""Widths of the last layers of RecBole's DIN, as it comes."""


def write_atomic_files(inputs: EventTables, settings: RecommenderSettings, folder: Path) -> None:
    """`curec.{split}.inter` in RecBole's format: the rows of `event_splits`, with their place in
    it, and in `item_id_list` as many of the latest items as our network reads.
    """
    rows = inputs.events.select("event_id", "user_id", "item_id", "liked", "split")
    rows = rows.with_row_index("place").join(
        inputs.histories.select("event_id", "item_ids"),
        on="event_id",
        how="left",
        maintain_order="left",
    )
    (folder / "curec").mkdir()
    for split in ("train", "validation", "test"):
        rows.filter(pl.col("split") == split).select(
            pl.col("user_id").alias("user_id:token"),
            pl.col("item_id").alias("item_id:token"),
            pl.col("item_ids")
            .list.tail(settings.history_length)
            .list.join(" ")
            .alias("item_id_list:token_seq"),
            pl.col("liked").cast(pl.Int8).alias("liked:float"),
            pl.col("place").alias("place:float"),
        ).write_csv(folder / "curec" / f"curec.{split}.inter", separator="\t", quote_style="never")


class RecBole:
    """RecBole's DIN in its own process."""

    def __init__(self, process: "subprocess.Popen[str]", settings: RecommenderSettings) -> None:
        """Use `started`."""
        self._process = process
        self._settings = settings
        self.samples = 0
        self.aucs: list[float] = []
        """Validation AUC after each epoch so far."""

    @classmethod
    @contextlib.contextmanager
    def started(
        cls, python: Path, data: Path, settings: RecommenderSettings, hidden: list[int]
    ) -> Iterator[Self]:
        """The process with the atomic files in `data` and a model; ended with the block.

        `hidden`: widths of its last layers; everything else is as in `settings`.
        """
        if not python.exists():
            raise SystemExit(
                f"{python} is missing; `make benchmark` and `make bench-speed-recommender` install "
                "it"
            )
        process = subprocess.Popen(
            [str(python), "-W", "ignore", str(ROOT / "benchmarks" / "recbole_driver.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=data,
        )
        try:
            recbole = cls(process, settings)
            chosen = _recbole_settings(data, settings, hidden)
            sizes = recbole.ask("load", settings=chosen, threads=cores())
            recbole.samples = sizes["samples"]
            yield recbole
        finally:
            process.kill()  # what RecBole loads handles SIGTERM, and goes on
            process.wait()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a command, wait for its answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the RecBole process has no pipes")
        print(json.dumps({"do": do, **arguments}), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("the RecBole process died; its message is above")
        found: dict[str, Any] = json.loads(answer)
        return found

    def epochs(self, count: int) -> float:
        """Train so many epochs, validate after each; the seconds of one without validation."""
        seconds = 0.0
        for _ in range(count):
            seconds += self.ask("epoch")["seconds"]
            self.aucs.append(self.ask("validate")["auc"])
        return seconds / count

    def begin(self, seed: int, epochs: int, *, bounded: bool) -> None:
        """A new model, to be trained our way; see the driver's `begin`."""
        recipe = {
            "learning_rate": self._settings.learning_rate,
            "weight_decay": self._settings.weight_decay,
            "epochs": epochs,
            "dropout": self._settings.dropout,
            "bounded": bounded,
        }
        self.ask("begin", seed=seed, recipe=recipe)

    def trained(self, seed: int, *, bounded: bool) -> float:
        """Validation AUC of a new model trained our way, at the epoch that LogLoss chose."""
        self.begin(seed, self._settings.epochs, bounded=bounded)
        found = []
        for _ in range(self._settings.epochs):
            self.ask("epoch")
            found.append(self.ask("validate"))
        return float(min(found, key=lambda one: one["logloss"])["auc"])

    def predictions(self, seed: int) -> tuple[list[int], list[float]]:
        """Places of the test rows and their probabilities, by a new model as RecBole trains it.

        Its own optimiser and dropout, at the epoch with the least LogLoss on validation; it stops
        when a few epochs brought no better one.
        """
        self.ask("begin", seed=seed)
        best, since = float("inf"), 0
        found: dict[str, list[Any]] = {"places": [], "probabilities": []}
        for _ in range(self._settings.epochs):
            self.ask("epoch")
            loss = self.ask("validate")["logloss"]
            since += 1
            if loss < best:
                best, since, found = loss, 0, self.ask("predict")
            if since == _PATIENCE:
                break
        return found["places"], found["probabilities"]


def _recbole_settings(
    data: Path, settings: RecommenderSettings, hidden: list[int]
) -> dict[str, Any]:
    return {
        "data_path": str(data),
        "benchmark_filename": ["train", "validation", "test"],
        "load_col": {"inter": ["user_id", "item_id", "item_id_list", "liked", "place"]},
        "LABEL_FIELD": "liked",
        "alias_of_item_id": ["item_id_list"],
        "MAX_ITEM_LIST_LENGTH": settings.history_length,
        "train_neg_sample_args": None,
        "eval_args": {
            "split": {"LS": "valid_and_test"},
            "order": "TO",
            "group_by": "none",
            "mode": "labeled",
        },
        "metrics": ["AUC", "LogLoss"],
        "valid_metric": "AUC",
        "metric_decimal_place": 6,
        "train_batch_size": settings.batch_size,
        "embedding_size": settings.dim,
        "mlp_hidden_size": hidden,
        "use_gpu": False,
        "show_progress": False,
        "state": "WARNING",
        "seed": 1,
    }
