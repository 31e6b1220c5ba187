"""Target attention: how much each item of a history has to do with the candidate.

After Zhou et al., *Deep Interest Network for Click-Through Rate Prediction* (KDD 2018). DIN feeds
[candidate, history, difference]; the difference is linear in the other two, so the product stands
in its place, and the first layer is applied to each part by itself (ours): two small products cost
less than one of twice the width and the tensor that it would read.
"""

import torch
from torch import Tensor, nn

_ABSENT = -1e9  # logit of padding; finite, so that an empty history gives 0, not NaN


class TargetAttention(nn.Module):
    """Weights w · relu(C candidate + H history + P (candidate ∘ history)), then a weighted sum."""

    def __init__(self, dim: int, *, softmax: bool) -> None:
        """`softmax`: weights sum to 1 over the history; else each is a sigmoid over √length, as an
        irrelevant history is to add nothing (DIN, section 4.3).
        """
        super().__init__()
        self.softmax = softmax
        self.candidate = nn.Linear(dim, dim)
        # Drawn as one layer that reads [history, product].
        both = nn.Linear(2 * dim, dim, bias=False).weight.detach()
        self.history, self.product = (_linear(part) for part in both.chunk(2, dim=1))
        self.score = nn.Linear(dim, 1, bias=not softmax)  # a bias would cancel in the softmax

    def forward(self, candidate: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        """(batch, dim), (batch, length, dim), (batch, length) bool → (batch, dim).

        Zeros for an empty history.
        """
        one = candidate.unsqueeze(1)  # (batch, 1, dim)
        hidden = self.candidate(one) + self.history(history) + self.product(one * history)
        scores = self.score(torch.relu(hidden)).squeeze(-1)  # (batch, length)
        if self.softmax:
            weights = torch.softmax(scores.masked_fill(~mask, _ABSENT), dim=1) * mask
        else:
            weights = torch.sigmoid(scores) * mask / mask.shape[1] ** 0.5
        return torch.einsum("bl,bld->bd", weights, history)


def _linear(weight: Tensor) -> nn.Linear:
    """A layer without bias, of this weight; nothing is drawn for it."""
    layer = nn.utils.skip_init(
        nn.Linear, weight.shape[1], weight.shape[0], bias=False, device=weight.device
    )
    layer.weight = nn.Parameter(weight.clone())
    return layer
