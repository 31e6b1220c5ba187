"""`RewardNetwork`: would this user like this item, given what the reason says?

A click model in the manner of DIN (deep interest network): y = sigmoid(MLP[e_i, attention over the
history, adaptor(z(reason))]) is the paper's kind of reward model; sizes, the attention's form, the
products and the linear term of the reason are our choice. Only tensors here: what an item or a
reason *is* belongs to `dataset.py`, how the network is fitted to `training.py`, how it is used to
`scoring.py`.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from curec_assets.networks.attention import TargetAttention

PAD, DISLIKED, LIKED = 0, 1, 2
"""Codes of a history position in `signals`."""


@dataclass(frozen=True)
class Shape:
    """What determines the sizes of a network's weights."""

    items: int
    """Rows of the item table, index 0 (unknown and rare items) included."""
    dim: int
    """Embedding dimension."""
    text_dim: int
    """Twice the dimension of the frozen text encoder: verdict and why side by side."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; the inverse of `Shape(**...)`."""
        return asdict(self)


class RewardNetwork(nn.Module):
    """Logit of "liked" from a candidate item, a history, and a reason or the learned null."""

    def __init__(self, shape: Shape) -> None:
        """Make the modules; weights are set by `initialised` or by `load_state_dict`."""
        super().__init__()
        dim = shape.dim
        self.shape = shape
        self.item = nn.Embedding(shape.items, dim)
        self.signal = nn.Embedding(3, dim)  # added to a history item: liked or disliked
        self.attention = TargetAttention(dim, softmax=True)
        self.null = nn.Parameter(torch.empty(shape.text_dim))
        self.adaptor = nn.Linear(shape.text_dim, dim)
        self.mlp = nn.Sequential(
            nn.Linear(5 * dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim), nn.ReLU()
        )
        self.output = nn.Linear(dim, 1)
        self.said = nn.Linear(shape.text_dim, 1, bias=False)

    def context(self, items: Tensor, history: Tensor, signals: Tensor) -> Tensor:
        """[e_i, attention(history)]: (batch, 2 dim); zeros for the part of an empty history.

        items: (batch,) item indices. history: (batch, positions) item indices. signals: (batch,
        positions) PAD, DISLIKED or LIKED.
        """
        candidate = self.item(items)  # (batch, dim)
        past = self.item(history) + self.signal(signals)  # (batch, positions, dim)
        attended = self.attention(candidate, past, signals != PAD)
        return torch.cat([candidate, attended], dim=1)

    def head(self, context: Tensor, reasons: Tensor | None, present: Tensor | None) -> Tensor:
        """Logits (batch,) from `context` and the reasons' embeddings.

        reasons: (batch, text_dim), halves of unit length, or None when no event has one. present:
        (batch,) booleans; where False the learned null stands in for the reason.
        """
        batch = context.shape[0]
        if reasons is None or present is None:
            text = self.null.expand(batch, -1)
        else:
            # A unit vector's coordinates are tiny; this gives them the scale that layers expect.
            scaled = reasons * math.sqrt(self.shape.text_dim / 2)
            text = torch.where(present.unsqueeze(1), scaled, self.null)
        reason = self.adaptor(text)  # (batch, dim)
        # Products say whether the reason fits this item and this history, not only what it says.
        fit = context * reason.repeat(1, 2)  # (batch, 2 dim)
        logits: Tensor = self.output(self.mlp(torch.cat([context, reason, fit], dim=1)))
        # What a verdict says, it says of any user and item: few reasons suffice to learn that.
        return (logits + self.said(text)).squeeze(-1)


def blank(shape: Shape) -> RewardNetwork:
    """A network without memory for its weights: load a state dict into it with `assign=True`."""
    with torch.device("meta"):
        return RewardNetwork(shape)


def initialised(shape: Shape, generator: torch.Generator) -> RewardNetwork:
    """A network with seeded random weights; the global generator is not touched."""
    network = blank(shape).to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias") or name == "said.weight":
                parameter.zero_()
            elif name in ("item.weight", "signal.weight", "null"):
                nn.init.normal_(parameter, std=0.1, generator=generator)
            else:
                nn.init.xavier_uniform_(parameter, generator=generator)
    return network
