"""Packed layers are the layers they replace, up to rounding."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from resources.generation.transformers.packed_linear import PackedLinear, can_pack

pytestmark = pytest.mark.skipif(
    not can_pack("cpu", "float32"), reason="this build of torch has no oneDNN"
)


@given(
    st.lists(st.integers(1, 70), min_size=1, max_size=3),
    st.integers(1, 90),
    st.integers(1, 90),
    st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_values_are_those_of_a_linear_layer(
    batch: list[int], wide: int, high: int, bias: bool
) -> None:
    torch.manual_seed(1)
    linear = nn.Linear(wide, high, bias=bias)
    inputs = torch.randn(*batch[:2], wide)
    with torch.inference_mode():
        torch.testing.assert_close(PackedLinear(linear)(inputs), linear(inputs))


def test_new_weights_can_be_taken_over() -> None:
    first, second = nn.Linear(20, 30, bias=False), nn.Linear(20, 30, bias=False)
    layer = PackedLinear(first)
    layer.load(second.weight)
    inputs = torch.randn(4, 20)
    torch.testing.assert_close(layer(inputs), second(inputs))
