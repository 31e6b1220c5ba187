"""RecBole's DIN in a process of its own; run by the Python of `.venv-recbole`, never imported.

Reads one JSON command per line, answers each with one JSON line:

    {"do": "load", "settings": {...}, "threads": 2}  -> sizes, as RecBole counts them
    {"do": "epoch"}                                  -> {"seconds": ..., "loss": ...}
    {"do": "validate"}                               -> {"auc": ..., "logloss": ...}

RecBole's own `Trainer` does the work: `_train_epoch` and `evaluate` are what its `fit` calls.
"""

import json
import os
import sys
import time
from typing import Any


class Driver:
    """One model in training."""

    def load(self, settings: dict[str, Any], threads: int) -> dict[str, Any]:
        """Read the atomic files and build model and trainer, as RecBole's `run_recbole` does."""
        import torch
        from recbole.config import Config
        from recbole.data import create_dataset, data_preparation
        from recbole.trainer import Trainer
        from recbole.utils import get_model, init_seed

        torch.set_num_threads(threads)
        config = Config(model="DIN", dataset="curec", config_dict=settings)
        init_seed(config["seed"], config["reproducibility"])
        dataset = create_dataset(config)
        self.train_data, self.validation_data, _ = data_preparation(config, dataset)
        model = get_model("DIN")(config, self.train_data._dataset)
        self.trainer = Trainer(config, model)
        self.trainer.eval_collector.data_collect(self.train_data)
        self.epochs = 0
        return {
            "samples": len(self.train_data.dataset),
            "validation": len(self.validation_data.dataset),
            "parameters": sum(p.numel() for p in model.parameters()),
            "threads": torch.get_num_threads(),
        }

    def epoch(self) -> dict[str, Any]:
        """Train one epoch."""
        started = time.perf_counter()
        loss = self.trainer._train_epoch(self.train_data, self.epochs)
        self.epochs += 1
        return {"seconds": time.perf_counter() - started, "loss": loss}

    def validate(self) -> dict[str, Any]:
        """Metrics on the validation rows."""
        return dict(self.trainer.evaluate(self.validation_data, load_best_model=False))


def main() -> None:
    """Serve commands from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever RecBole prints goes to standard error
    driver = Driver()
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(driver, command.pop("do"))(**command)
        print(json.dumps(answer, default=float), file=answers, flush=True)


if __name__ == "__main__":
    main()
