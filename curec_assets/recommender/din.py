"""The recommender: a deep interest network (DIN) with gated text adaptors.

After Zhou et al., *Deep Interest Network for Click-Through Rate Prediction* (KDD 2018): the
candidate attends over the user's history. Paper (abstract and outline): mixture-of-experts
adaptors read the text embeddings. Ours: shapes, running statistics, the learned null, id dropout.
Reasons join later (`reason_stage`).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from curec_assets.networks.attention import TargetAttention
from curec_assets.recommender.dataset import Batch, ItemTable

Variant = Literal["id", "id_text"]
VARIANTS: tuple[Variant, ...] = ("id", "id_text")


_ID_SPREAD = 0.1  # of the id embeddings at the start


@dataclass(frozen=True)
class DINConfig:
    """Everything that the shapes of a network depend on; stored beside its weights."""

    variant: Variant
    items: int
    """Items known in training."""
    statistics: int
    """Number of running statistics."""
    text_dim: int
    dim: int
    experts: int
    length: int
    """History events read."""
    dropout: float
    """Of the hidden layer."""
    id_dropout: float
    """Share of item ids replaced by the unknown id, so that it is learned."""
    feedback: int = 3
    """Feedback features of a history event; 0: events are read as their items, as in Zhou et al."""


class GatedAdaptor(nn.Module):
    """Mixture of linear experts from a text embedding to the model's space.

    Experts start at zero, so that a text changes nothing until it has been learned to. A missing
    text is the learned `null`.
    """

    def __init__(self, text_dim: int, dim: int, experts: int) -> None:
        super().__init__()
        self.gate = nn.Linear(text_dim, experts)
        self.experts = nn.Parameter(torch.zeros(experts, text_dim, dim))
        self.null = nn.Parameter(torch.zeros(dim))

    def forward(self, text: Tensor, present: Tensor) -> Tensor:
        """`text` (n, text dim), `present` (n,) bool → (n, dim)."""
        gate = torch.softmax(self.gate(text), dim=-1)  # (n, experts)
        outputs = torch.einsum("nt,etd->ned", text, self.experts)  # (n, experts, dim)
        mixed = (gate.unsqueeze(-1) * outputs).sum(dim=1)  # (n, dim)
        return torch.where(present.unsqueeze(-1), mixed, self.null)


class DIN(nn.Module):
    """Probability that a user likes a candidate, as a logit."""

    def __init__(self, config: DINConfig) -> None:
        super().__init__()
        self.config = config
        dim, features = config.dim, config.statistics
        self.ids = nn.Embedding(config.items + 1, dim)
        nn.init.normal_(self.ids.weight, std=_ID_SPREAD)
        self.feedback_gate = nn.Linear(config.feedback, dim) if config.feedback else None
        self.feedback = nn.Linear(config.feedback, dim) if config.feedback else None
        self.attention = TargetAttention(dim, softmax=False)
        self.register_buffer("statistics_mean", torch.zeros(features))
        self.register_buffer("statistics_spread", torch.ones(features))
        self.wide = nn.Linear(features, 1)
        self.hidden = nn.Linear(3 * dim + features, 2 * dim)
        self.output = nn.Linear(2 * dim, 1)
        # Adaptors come last: the shared part of all variants starts from the same random numbers.
        self.text_adaptor = (
            GatedAdaptor(config.text_dim, dim, config.experts) if config.variant != "id" else None
        )

    def standardise(self, statistics: Tensor) -> None:
        """Remember mean and spread of the training statistics (n, features)."""
        self.statistics_mean = statistics.mean(dim=0)
        self.statistics_spread = statistics.std(dim=0, correction=0).clamp_min(1e-3)

    def forward(self, batch: Batch, item_table: ItemTable) -> Tensor:
        """Logits (size,)."""
        size, length = batch.history_items.shape
        wanted = torch.cat([batch.item, batch.history_items.flatten()])
        if len(item_table.texts) <= len(wanted):  # cheaper than finding the distinct ones
            table = self._represent(
                torch.arange(len(item_table.texts), device=wanted.device), item_table
            )
        else:
            rows, wanted = torch.unique(wanted, return_inverse=True)
            table = self._represent(rows, item_table)  # (distinct items, dim)
        read = functional.embedding(wanted, table)  # (size + size * length, dim)
        candidate = read[:size]  # (size, dim)
        history = read[size:].view(size, length, read.shape[1])  # (size, length, dim)
        if self.feedback_gate is not None and self.feedback is not None:
            # The gate lets a disliked item count against what is like it.
            feedback = functional.pad(batch.feedback, (0, 1), value=1.0)  # (size, length, 4)
            gate = _per_example(self.feedback_gate, feedback)
            history = torch.addcmul(_per_example(self.feedback, feedback), history, gate)
        interest = self.attention(candidate, history, batch.mask)
        statistics = (batch.statistics - self.statistics_mean) / self.statistics_spread
        joined = torch.cat([candidate, interest, candidate * interest, statistics], dim=-1)
        hidden = self.hidden(joined)  # (size, 2 dim)
        hidden = functional.dropout(torch.relu(hidden), self.config.dropout, self.training)
        return (self.output(hidden) + self.wide(statistics)).squeeze(-1)

    def _represent(self, rows: Tensor, item_table: ItemTable) -> Tensor:
        """Rows of the item table (n,) → item representations (n, dim)."""
        ids = item_table.vocabulary[rows]  # (n,)
        if self.training:
            dropped = torch.rand(ids.shape, device=ids.device) < self.config.id_dropout
            ids = ids.masked_fill(dropped, 0)
        represented: Tensor = self.ids(ids)
        if self.text_adaptor is not None:
            text = item_table.texts[rows]  # (n, text dim)
            represented = represented + self.text_adaptor(text, text.any(dim=-1))
        return represented


def _per_example(layer: nn.Linear, inputs: Tensor) -> Tensor:
    """`layer` of inputs (size, length, n) whose last column is 1, as one product per example.

    The same numbers as `layer(inputs[..., :-1])`; with n this small the gradient of one long
    product is several times slower on a CPU.
    """
    weight = torch.cat([layer.weight.t(), layer.bias.unsqueeze(0)])  # (n, out)
    return torch.bmm(inputs, weight.expand(len(inputs), -1, -1))
