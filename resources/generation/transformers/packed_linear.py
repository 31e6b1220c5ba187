"""Linear layers whose frozen weights are laid out once for oneDNN, for CPUs.

PyTorch multiplies plain float32 weights with MKL, which on AMD processors is far from their best;
oneDNN on weights in its own layout is what `torch.compile` uses when it freezes a model, 1.3 to 2.5
times as fast here, and needs no compiler at run time. The result differs from `nn.Linear`'s by
rounding only. For models that are only read: below an adapter in training it gained nothing.
"""

import torch
from torch import Tensor, nn

_ROWS = 64  # that the layout is chosen for; others run as fast or nearly so


def can_pack(device: str, dtype: str) -> bool:
    """Whether this layout exists for a device and number format."""
    return device == "cpu" and dtype == "float32" and torch.backends.mkldnn.is_available()


class PackedLinear(nn.Module):
    """y = x Wᵀ + b with a frozen W."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        bias: Tensor | None = linear.bias
        self._bias = None if bias is None else bias.detach()
        self.load(linear.weight)

    def load(self, weight: Tensor) -> None:
        """Take over `weight` (out features, in features)."""
        # A plain attribute: neither a parameter nor part of the state, it has no strides.
        self._weight = _packed(weight.detach())

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., in features) → (..., out features)."""
        return _product(inputs, self._weight, self._bias)


def pack_linears(model: nn.Module) -> None:
    """Replace every `nn.Linear` of a model that is only read."""
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear:
            model.set_submodule(name, PackedLinear(module))


def _packed(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)


def _product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    flat = inputs.reshape(-1, inputs.shape[-1])
    found = torch.ops.mkldnn._linear_pointwise(flat, weight, bias, "none", [], "")
    return found.view(*inputs.shape[:-1], -1)
