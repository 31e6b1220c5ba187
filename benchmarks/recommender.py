"""DIN training: ours against RecBole 1.2.1's, same rows, batch, embedding size, history, threads.

`make bench-speed-recommender`. RecBole runs in its own environment, as a process that trains a
few epochs on command, so that both alternate. Only epochs are timed, validation is not.

RecBole's DIN reads item ids alone. Ours (variant `id`) also reads rating, like and age of every
history event, and 13 running statistics; the variant `ids alone` is built without the layers that
read them. It is compared with RecBole as it comes, with RecBole trained our way, and with its
network made like ours.
"""

import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import Pairs, Record, Run, Spread, pairs, parser
from benchmarks.home import Home
from benchmarks.recbole_din import DEFAULT_HIDDEN, PYTHON, RecBole, write_atomic_files
from benchmarks.tables import publish
from curec_assets.core.seeds import derive
from curec_assets.recommender.build import network_config
from curec_assets.recommender.dataset import EventTables, TrainingData
from curec_assets.recommender.din import Variant
from curec_assets.recommender.training import Training, train
from curec_assets.settings import PROFILES
from resources.compute.cores import cores

COMMAND = "make bench-speed-recommender"
_TABLES = ("event_splits", "items", "item_embeddings")
_SETTINGS = PROFILES["laptop"].recommender
_SEED = PROFILES["laptop"].seed
_EPOCHS_OF_A_RUN = 4  # one takes about a second, too short to be timed alone
_OUR_EPOCHS = _SETTINGS.epochs
_MANY_EPOCHS = 1000  # of a schedule whose rate must not reach zero while we measure
_LIKE_OURS = "trained our way, ReLU and bounded attention"
_HIDDEN = [2 * _SETTINGS.dim]  # of the last layers, as in ours


def main() -> None:
    """Measure and publish."""
    options = parser(__doc__)
    options.add_argument(
        "--recbole",
        type=Path,
        default=PYTHON,
        help="Python that has benchmarks/requirements-recbole.txt",
    )
    chosen = options.parse_args()
    torch.set_num_threads(cores())
    for message in ("Initializing zero-element tensors", "std\\(\\): degrees of freedom"):
        warnings.filterwarnings("ignore", message=message)  # of the variants without statistics
    warehouse = Home.open(chosen.home).warehouse
    inputs = EventTables.make(_SETTINGS, *(warehouse.read(table) for table in _TABLES))
    ours = Ours(TrainingData.make(inputs, _SETTINGS))
    with tempfile.TemporaryDirectory() as folder:
        write_atomic_files(inputs, _SETTINGS, Path(folder))
        with RecBole.started(chosen.recbole, Path(folder), _SETTINGS, _HIDDEN) as recbole:
            records = compare(ours, recbole, chosen.count)
        with RecBole.started(chosen.recbole, Path(folder), _SETTINGS, DEFAULT_HIDDEN) as recbole:
            theirs = partial(recbole.epochs, _EPOCHS_OF_A_RUN)
            bigger = pairs(ours.epochs("id"), theirs, count=1, warmup=0)
            records.append(
                Record.of(
                    "ours (`id`) / RecBole with its own default layers (3 of 256), one pair",
                    bigger.ratio(lambda run: 1 / run.result),
                    "times",
                    COMMAND,
                )
            )
    publish(records, chosen.figures)


def compare(ours: "Ours", recbole: "RecBole", count: int) -> list[Record]:
    """Speed of our variants against RecBole's DIN as it comes, then against its network like ours.

    The latter comes last, for it replaces the model that RecBole trains.
    """
    records = []
    theirs = partial(recbole.epochs, _EPOCHS_OF_A_RUN)
    for variant in ("id", "ids alone"):
        compared = pairs(ours.epochs(variant), theirs, count=count)
        target = ">= 3" if variant == "ids alone" else None  # which reads what RecBole's reads
        records += _speed(variant, compared, "RecBole", recbole.samples, target)
    as_it_comes = max(recbole.aucs)
    recbole.begin(seed=0, epochs=_MANY_EPOCHS, bounded=True)
    compared = pairs(ours.epochs("ids alone"), theirs, count=count)
    records += _speed("ids alone", compared, f"RecBole {_LIKE_OURS}", recbole.samples)
    alone = pairs(ours.epochs("id_text"), lambda: 1.0, count=3)
    rate = alone.of_a(lambda run: ours.samples / run.result)
    records.append(Record.of("ours (`id_text`)", rate, "samples/s", COMMAND))
    return records + quality(ours, recbole, as_it_comes)


def quality(ours: "Ours", recbole: "RecBole", as_it_comes: float) -> list[Record]:
    """Validation AUCs; `as_it_comes` is RecBole's best."""
    seeds = range(_SETTINGS.seeds)
    full, without_statistics, ids_alone = (
        Spread.of([ours.auc(variant, seed) for seed in seeds])
        for variant in ("id", "without running statistics", "ids alone")
    )
    our_way, like_ours = (
        Spread.of([recbole.trained(seed, bounded=bounded) for seed in seeds])
        for bounded in (False, True)
    )

    def auc(name: str, value: Spread | float) -> Record:
        return Record.of(f"validation AUC, {name}", value, "", COMMAND)

    def above(over: str, theirs: float) -> Record:
        difference = ids_alone.value - theirs
        return Record.of(f"AUC, ours (ids alone) - {over}", difference, "", COMMAND, ">= -0.005")

    return [
        auc(f"ours, `id`, {len(seeds)} seeds", full),
        auc(f"ours, without running statistics, {len(seeds)} seeds", without_statistics),
        auc(f"ours, ids alone, {len(seeds)} seeds", ids_alone),
        auc("RecBole as it comes, its best epoch", as_it_comes),
        auc(f"RecBole trained our way, {len(seeds)} seeds", our_way),
        auc(f"RecBole {_LIKE_OURS}, {len(seeds)} seeds", like_ours),
        Record.of(
            f"AUC, ours (ids alone) and RecBole {_LIKE_OURS}, apart",
            abs(ids_alone.value - like_ours.value),
            "",
            COMMAND,
            "<= 0.005",
        ),
        above("RecBole trained our way", our_way.value),
        above("RecBole as it comes", as_it_comes),
    ]


def _speed(
    variant: str, compared: Pairs[float], theirs: str, samples: int, target: str | None = None
) -> list[Record]:
    def rate(run: Run[float]) -> float:
        return samples / run.result

    name = f"`{variant}`" if variant == "id" else variant
    return [
        Record.of(
            f"ours ({name}), in turns with {theirs}", compared.of_a(rate), "samples/s", COMMAND
        ),
        Record.of(theirs, compared.of_b(rate), "samples/s", COMMAND),
        Record.of(f"ours ({name}) / {theirs}", compared.ratio(rate), "times", COMMAND, target),
    ]


@dataclass(frozen=True)
class Ours:
    """Our trainings on one home's data."""

    data: TrainingData

    @property
    def samples(self) -> int:
        """Rows of an epoch."""
        return len(self.data.rows["train"])

    def _arguments(self, variant: str, seed: int) -> tuple[list[Any], dict[str, Any]]:
        named: Variant = "id_text" if variant == "id_text" else "id"
        config, examples = network_config(named, self.data, _SETTINGS), self.data.examples
        if variant in ("without running statistics", "ids alone"):
            config = replace(config, statistics=0)
            examples = replace(examples, statistics=examples.statistics[:, :0])
        if variant == "ids alone":
            config = replace(config, feedback=0)
        rows = self.data.rows["train"]
        return [config, examples, self.data.item_table, self.data.liked, rows], {
            "batch_size": _SETTINGS.batch_size,
            "learning_rate": _SETTINGS.learning_rate,
            "weight_decay": _SETTINGS.weight_decay,
            "seed": derive(_SEED, "recommender", seed),
            "epochs": _OUR_EPOCHS,
        }

    def epochs(self, variant: str) -> Any:
        """A call that trains a few epochs more and returns the seconds of one."""
        arguments, options = self._arguments(variant, 0)
        options["epochs"] = _MANY_EPOCHS
        training = Training(*arguments, **options)

        def call() -> float:
            started = time.perf_counter()
            for _ in range(_EPOCHS_OF_A_RUN):
                training.epoch()
            return (time.perf_counter() - started) / _EPOCHS_OF_A_RUN

        return call

    def auc(self, variant: str, seed: int) -> float:
        """Validation AUC at the epoch that validation LogLoss chose."""
        arguments, options = self._arguments(variant, seed)
        *data, rows = arguments
        trained = train(
            *data, train_rows=rows, validation_rows=self.data.rows["validation"], **options
        )
        return trained.validation_aucs[trained.best_epoch] or 0.0


if __name__ == "__main__":
    main()
