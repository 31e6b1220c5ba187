"""Linear layers whose frozen weights are laid out once for oneDNN, for CPUs.

PyTorch multiplies plain float32 weights with MKL, which on AMD processors is far from their best;
oneDNN on weights in its own layout is what `torch.compile` uses when it freezes a model, 1.3 to 2.5
times as fast here, and needs no compiler at run time. The result differs from `nn.Linear`'s by
rounding only. Gradients flow to the input, not to the weights: they are frozen.
"""

from typing import Any

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


class TrainablePackedLinear(PackedLinear):
    """The same below a LoRA adapter: gradients pass through it to the layers before."""

    _transposed: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        """The weight (out features, in features), unpacked: a copy."""
        return self._weight.to_dense()

    @property
    def transposed(self) -> Tensor:
        """The transposed weight, packed when it is first wanted: many layers get no gradient."""
        if self._transposed is None:
            self._transposed = _packed(self.weight.t())
        return self._transposed

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., in features) → (..., out features)."""
        found: Tensor = _Through.apply(inputs, self)  # type: ignore[no-untyped-call]
        return found

    def product(self, inputs: Tensor) -> Tensor:
        """X Wᵀ + b, not differentiated."""
        return _product(inputs, self._weight, self._bias)


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, layer: TrainablePackedLinear) -> Tensor:
        ctx.layer = layer
        return layer.product(inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None]:
        if not ctx.needs_input_grad[0]:
            return None, None
        return _product(gradients[0], ctx.layer.transposed, None), None


def pack_linears(model: nn.Module) -> None:
    """Replace every `nn.Linear` of a model that is only read."""
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear:
            model.set_submodule(name, PackedLinear(module))


def pack_below_adapters(model: nn.Module) -> None:
    """Replace the frozen `nn.Linear` below every LoRA layer, and those of layers without one."""
    from peft.tuners.lora import LoraLayer

    adapters = {name for name, module in model.named_modules() if isinstance(module, LoraLayer)}
    for name, module in list(model.named_modules()):
        part = name.rpartition(".")[2]
        inside = any(name.startswith(f"{adapter}.") for adapter in adapters)
        wanted = part == "base_layer" if inside else not name.endswith("lm_head")
        if type(module) is nn.Linear and wanted:
            model.set_submodule(name, TrainablePackedLinear(module))


def _packed(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)


def _product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    flat = inputs.reshape(-1, inputs.shape[-1])
    found = torch.ops.mkldnn._linear_pointwise(flat, weight, bias, "none", [], "")
    return found.view(*inputs.shape[:-1], -1)
