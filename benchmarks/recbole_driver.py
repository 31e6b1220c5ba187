"""RecBole's DIN in a process of its own; run by the Python of `.venv-recbole`, never imported.

Reads one JSON command per line, answers each with one JSON line:

    {"do": "load", "settings": {...}, "threads": 2}  -> sizes, as RecBole counts them
    {"do": "begin", "seed": 1, "recipe": {...}}      -> {}; a new model, to be trained our way, or
                                                        without a recipe as RecBole does
    {"do": "epoch"}                                  -> {"seconds": ..., "loss": ...}
    {"do": "validate"}                               -> {"auc": ..., "logloss": ...}
    {"do": "predict"}                                -> places and probabilities of the test rows

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
        from recbole.utils import init_seed

        torch.set_num_threads(threads)
        self.config = Config(model="DIN", dataset="curec", config_dict=settings)
        init_seed(self.config["seed"], self.config["reproducibility"])
        dataset = create_dataset(self.config)
        self.train_data, self.validation_data, self.test_data = data_preparation(
            self.config, dataset
        )
        self._build()
        return {
            "samples": len(self.train_data.dataset),
            "validation": len(self.validation_data.dataset),
            "parameters": sum(p.numel() for p in self.trainer.model.parameters()),
            "threads": torch.get_num_threads(),
        }

    def begin(self, seed: int, recipe: dict[str, float] | None = None) -> dict[str, Any]:
        """A new model, by a recipe with CURec's optimiser, schedule and dropout for RecBole's.

        `recipe`: `learning_rate` at its peak, `weight_decay`, `epochs` of the schedule, `dropout`;
        `bounded`: also ReLU for its activations, and attention weights between 0 and 1, as ours.
        """
        import torch
        from recbole.utils import init_seed

        init_seed(seed, self.config["reproducibility"])
        if recipe is None:
            self._build()
            return {}
        self.config["dropout_prob"] = recipe["dropout"]
        self._build()
        if recipe["bounded"]:
            self._bound()
        optimiser = torch.optim.AdamW(
            self.trainer.model.parameters(),
            lr=recipe["learning_rate"],
            weight_decay=recipe["weight_decay"],
        )
        steps = recipe["epochs"] * len(self.train_data)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min(10 * (step + 1) / steps, 1.0) * (1 - step / steps)
        )
        optimiser.register_step_post_hook(lambda *_: schedule.step())
        self.trainer.optimizer = optimiser
        return {}

    def _bound(self) -> None:
        from recbole.model.layers import MLPLayers
        from torch import nn

        model = self.trainer.model
        attention = model.attention
        attention.att_mlp_layers = MLPLayers(model.att_list, activation="relu")
        attention.dense = nn.Sequential(attention.dense, nn.Sigmoid())
        model.dnn_mlp_layers = MLPLayers(
            model.dnn_list, dropout=model.dropout_prob, activation="relu"
        )
        for layers in (attention.att_mlp_layers, model.dnn_mlp_layers):
            layers.apply(model._init_weights)

    def _build(self) -> None:
        from recbole.trainer import Trainer
        from recbole.utils import get_model

        model = get_model("DIN")(self.config, self.train_data._dataset)
        self.trainer = Trainer(self.config, model)
        self.trainer.eval_collector.data_collect(self.train_data)
        self.epochs = 0

    def epoch(self) -> dict[str, Any]:
        """Train one epoch."""
        started = time.perf_counter()
        loss = self.trainer._train_epoch(self.train_data, self.epochs)
        self.epochs += 1
        return {"seconds": time.perf_counter() - started, "loss": loss}

    def validate(self) -> dict[str, Any]:
        """Metrics on the validation rows."""
        return dict(self.trainer.evaluate(self.validation_data, load_best_model=False))

    def predict(self) -> dict[str, Any]:
        """P(like) of every test row."""
        import torch

        model = self.trainer.model.eval()
        places, probabilities = [], []
        with torch.no_grad():
            for batch in self.test_data:
                interaction = batch[0]
                places += interaction["place"].long().tolist()
                probabilities += model.predict(interaction.to(model.device)).tolist()
        return {"places": places, "probabilities": probabilities}


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
