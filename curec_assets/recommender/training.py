"""Training the recommender: one network from scratch, epoch chosen on validation only."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from curec_assets.evaluation.metrics import auc, log_losses
from curec_assets.recommender.dataset import Examples, ItemTable
from curec_assets.recommender.din import DIN, DINConfig
from resources.errors import EngineError

_SCORING_BATCH = 4096


@dataclass(frozen=True)
class Trained:
    """A network at its best epoch, and how it got there."""

    network: DIN
    losses: list[float]
    """Mean training loss of each epoch."""
    validation_losses: list[float]
    """Validation LogLoss after each epoch."""
    validation_aucs: list[float | None]
    """Validation AUC after each epoch; None where only one outcome occurs."""

    @property
    def best_epoch(self) -> int:
        """Index of the epoch whose weights were kept."""
        return int(np.argmin(self.validation_losses))


def train(
    config: DINConfig,
    examples: Examples,
    item_table: ItemTable,
    liked: Tensor,
    *,
    train_rows: Tensor,
    validation_rows: Tensor,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    device: str = "cpu",
) -> Trained:
    """Fit on `train_rows`; keep the epoch with the lowest LogLoss on `validation_rows`.

    The same seed gives the same start and the same batches to every variant. Peak learning rate
    is reached after a tenth of the steps, then decays linearly (our choice). Raises `EngineError`
    when training diverges.
    """
    with torch.random.fork_rng(devices=None if device == "cuda" else []):
        training = Training(
            config,
            examples,
            item_table,
            liked,
            train_rows,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            seed=seed,
            device=device,
        )
        network = training.network
        truth = liked[validation_rows].numpy()
        losses: list[float] = []
        held_out: list[float] = []
        aucs: list[float | None] = []
        best: dict[str, Tensor] = {}
        for epoch in range(epochs):
            losses.append(training.epoch())
            scores = score(network, examples, training.item_table, validation_rows, device)
            if not (np.isfinite(losses[-1]) and np.isfinite(scores).all()):
                raise EngineError(
                    f"the recommender diverged in epoch {epoch + 1}: training loss {losses[-1]}; "
                    f"lower recommender.learning_rate (now {learning_rate:g})"
                )
            held_out.append(float(log_losses(truth, scores).mean()))
            area = auc(truth, scores)
            aucs.append(None if np.isnan(area) else area)
            if held_out[-1] == min(held_out):
                best = {name: t.detach().clone() for name, t in network.state_dict().items()}
        network.load_state_dict(best)
        return Trained(network.eval(), losses, held_out, aucs)


class Training:
    """A network in training; `epoch` passes once over the rows. Seeds torch's global generator."""

    def __init__(
        self,
        config: DINConfig,
        examples: Examples,
        item_table: ItemTable,
        liked: Tensor,
        rows: Tensor,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        weight_decay: float,
        seed: int,
        device: str = "cpu",
    ) -> None:
        """`epochs`: how many the learning rate's schedule is made for."""
        torch.manual_seed(seed)
        self.network = DIN(config)
        self.network.standardise(examples.statistics[rows])
        self.network.to(device)
        self.item_table = on_device(item_table, device)
        self._examples, self._liked, self._rows = examples, liked, rows
        self._batch_size, self._device = batch_size, device
        self._order = torch.Generator().manual_seed(seed)
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=learning_rate, weight_decay=weight_decay
        )
        steps = epochs * -(-len(rows) // batch_size)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimiser, lambda step: min(10 * (step + 1) / steps, 1.0) * (1 - step / steps)
        )

    def epoch(self) -> float:
        """Train on every row once, in a new random order; the mean loss."""
        self.network.train()
        total = 0.0
        shuffled = self._rows[torch.randperm(len(self._rows), generator=self._order)]
        for rows in shuffled.split(self._batch_size):
            logits = self.network(self._examples.batch(rows, self._device), self.item_table)
            target = self._liked[rows].to(self._device, torch.float32)
            loss = functional.binary_cross_entropy_with_logits(logits, target)
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            self._schedule.step()
            total += float(loss.detach()) * len(rows)
        return total / len(self._rows)


@torch.inference_mode()
def score(
    network: DIN, examples: Examples, item_table: ItemTable, rows: Tensor, device: str = "cpu"
) -> np.ndarray:
    """Probabilities (rows,) as float32."""
    network.eval()
    item_table = on_device(item_table, device)
    parts = [
        torch.sigmoid(network(examples.batch(part, device), item_table)).cpu()
        for part in rows.split(_SCORING_BATCH)
    ]
    return torch.cat([torch.empty(0), *parts]).numpy()


def on_device(item_table: ItemTable, device: str) -> ItemTable:
    """The table with its tensors on `device`."""
    return ItemTable(
        item_table.item_ids, item_table.vocabulary.to(device), item_table.texts.to(device)
    )
