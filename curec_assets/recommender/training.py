"""Training the recommender: one network from scratch, epoch chosen on validation only."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from curec_assets.recommender.dataset import Catalogue, Examples
from curec_assets.recommender.din import DIN, DINConfig
from curec_assets.recommender.metrics import auc, log_losses
from resources.errors import EngineError

_SCORING_BATCH = 4096
_WEIGHT_DECAY = 1e-2


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
    catalogue: Catalogue,
    liked: Tensor,
    *,
    train_rows: Tensor,
    validation_rows: Tensor,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: str = "cpu",
) -> Trained:
    """Fit on `train_rows`; keep the epoch with the lowest LogLoss on `validation_rows`.

    The same seed gives the same start and the same batches to every variant. Peak learning rate
    is reached after a tenth of the steps, then decays linearly (our choice). Raises `EngineError`
    when training diverges.
    """
    with torch.random.fork_rng(devices=None if device == "cuda" else []):
        torch.manual_seed(seed)
        network = DIN(config)
        network.standardise(examples.statistics[train_rows])
        network.to(device)
        order = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.AdamW(
            network.parameters(), lr=learning_rate, weight_decay=_WEIGHT_DECAY
        )
        steps = epochs * -(-len(train_rows) // batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min(10 * (step + 1) / steps, 1.0) * (1 - step / steps)
        )
        catalogue = on_device(catalogue, device)
        truth = liked[validation_rows].numpy()
        losses: list[float] = []
        held_out: list[float] = []
        aucs: list[float | None] = []
        best: dict[str, Tensor] = {}
        for epoch in range(epochs):
            network.train()
            total = 0.0
            shuffled = train_rows[torch.randperm(len(train_rows), generator=order)]
            for rows in shuffled.split(batch_size):
                logits = network(examples.batch(rows, device), catalogue)
                target = liked[rows].to(device, torch.float32)
                loss = functional.binary_cross_entropy_with_logits(logits, target)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                total += float(loss.detach()) * len(rows)
            losses.append(total / len(train_rows))
            scores = score(network, examples, catalogue, validation_rows, device)
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


@torch.inference_mode()
def score(
    network: DIN, examples: Examples, catalogue: Catalogue, rows: Tensor, device: str = "cpu"
) -> np.ndarray:
    """Probabilities (rows,) as float32."""
    network.eval()
    catalogue = on_device(catalogue, device)
    parts = [
        torch.sigmoid(network(examples.batch(part, device), catalogue)).cpu()
        for part in rows.split(_SCORING_BATCH)
    ]
    return torch.cat([torch.empty(0), *parts]).numpy()


def on_device(catalogue: Catalogue, device: str) -> Catalogue:
    """The catalogue with its tensors on `device`."""
    return Catalogue(
        catalogue.item_ids, catalogue.vocabulary.to(device), catalogue.texts.to(device)
    )
