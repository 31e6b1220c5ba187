"""Attention for packed batches whose rows share prefixes, behind transformers' attention interface.

A forward pass holds the tokens of many rows one after the other, so that no matrix product is spent
on padding. The pass says through the keyword argument `curec_pass` which token belongs to which
row; any decoder that lets `transformers` choose its attention function runs so, unchanged.

Two kinds of passes. `PrefillPass`: the rows of one parent prefix, whose keys and values are read
but not computed again. `DecodePass`: a token or a few of every active row; the keys and values of
a shared prefix are kept once and read once for all its rows.

Shapes: a query is (heads, tokens, dim), a key or value (kv heads, tokens, dim), what is returned
(tokens, heads · dim).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

ATTENTION = "curec_packed"
_EMPTY = -1e30  # finite, so that a row without any visible key is no NaN


@dataclass(frozen=True)
class Prefix:
    """Keys and values of tokens that several rows begin with, per layer (heads, length, dim)."""

    keys: list[Tensor]
    values: list[Tensor]

    @property
    def length(self) -> int:
        """Tokens."""
        return self.keys[0].shape[1] if self.keys else 0


class Packing:
    """Where the tokens of rows of unequal length stand in a packed batch."""

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        self.rows = len(lengths)
        self.width = max(lengths)
        counts = torch.tensor(lengths)
        self.starts = counts.cumsum(0) - counts
        inside = torch.arange(self.width).unsqueeze(0) < counts.unsqueeze(1)  # (rows, width)
        self.even = bool(inside.all())
        padded = self.starts.unsqueeze(1) + torch.arange(self.width)
        self._pad = padded.masked_fill(~inside, 0).flatten().to(device)
        self._unpad = inside.flatten().nonzero().squeeze(1).to(device)

    def pad(self, packed: Tensor) -> Tensor:
        """(heads, tokens, dim) → (rows, heads, width, dim)."""
        heads, _, dim = packed.shape
        if not self.even:
            packed = packed.index_select(1, self._pad)
        return packed.view(heads, self.rows, self.width, dim).transpose(0, 1)

    def unpad(self, padded: Tensor) -> Tensor:
        """(rows, width, features) → (tokens, features)."""
        flat = padded.reshape(self.rows * self.width, -1)
        return flat if self.even else flat.index_select(0, self._unpad)


@dataclass
class PrefillPass:
    """First pass of rows that continue the same parent prefix (or none)."""

    packing: Packing
    parent: Prefix | None
    keys: list[Tensor] = field(default_factory=list)
    """Filled by the pass, per layer: (rows, heads, width, dim), padded at the right."""
    values: list[Tensor] = field(default_factory=list)
    _mask: Tensor | None = None

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attention of one layer; remembers the keys and values."""
        pad = self.packing.pad
        padded_query, own_key, own_value = pad(query), pad(key), pad(value)
        self.keys.append(own_key)
        self.values.append(own_value)
        if self.parent is not None:
            rows = self.packing.rows
            before_key = self.parent.keys[layer].expand(rows, -1, -1, -1)
            before_value = self.parent.values[layer].expand(rows, -1, -1, -1)
            own_key = torch.cat([before_key, own_key], dim=2)
            own_value = torch.cat([before_value, own_value], dim=2)
        if self._mask is None:
            before = self.parent.length if self.parent is not None else 0
            width = self.packing.width
            self._mask = torch.ones(
                width, before + width, dtype=torch.bool, device=query.device
            ).tril(before)
        groups = query.shape[0] // key.shape[0]
        if groups > 1:
            own_key = own_key.repeat_interleave(groups, dim=1)
            own_value = own_value.repeat_interleave(groups, dim=1)
        mixed = functional.scaled_dot_product_attention(
            padded_query, own_key, own_value, attn_mask=self._mask, scale=scale
        )  # (rows, heads, width, dim)
        return self.packing.unpad(mixed.transpose(1, 2).flatten(2))


class Slots:
    """Keys and values of the rows in generation, beyond their prefixes: one slot a row."""

    def __init__(self, layers: int, slots: int, length: int) -> None:
        self._layers, self._slots, self.length = layers, slots, length
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def fill(self, first: int, keys: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        """Put the rows of a prefill pass (rows, heads, width, dim per layer) from slot `first`."""
        if not self.keys:
            _, heads, _, dim = keys[0].shape
            shape = (self._slots, heads, self.length, dim)
            # Zeros: what is masked is multiplied by 0, and 0 times uninitialised memory may be NaN.
            self.keys = [keys[0].new_zeros(shape) for _ in range(self._layers)]
            self.values = [keys[0].new_zeros(shape) for _ in range(self._layers)]
        rows, width = keys[0].shape[0], keys[0].shape[2]
        for store, new in ((self.keys, keys), (self.values, values)):
            for layer, rows_of_layer in enumerate(new):
                store[layer][first : first + rows, :, :width] = rows_of_layer

    def move(self, source: int, target: int) -> None:
        """Copy a slot over another."""
        for store in (*self.keys, *self.values):
            store[target] = store[source]


class DecodePass:
    """A pass of a few tokens of each of the rows in slots 0, 1, ..."""

    def __init__(
        self,
        slots: Slots,
        packing: Packing,
        positions: Sequence[int],
        prefixes: Sequence[Prefix],
        prefix_of_row: Sequence[int],
        device: torch.device,
    ) -> None:
        """`positions`: where each row's first token goes in its slot.

        `prefix_of_row`: index into `prefixes` of each row, -1 for none.
        """
        self._slots, self._packing = slots, packing
        self._prefixes = prefixes
        start = torch.tensor(positions).unsqueeze(1)  # (rows, 1)
        offsets = start + torch.arange(packing.width)  # (rows, width)
        self._visible = int(offsets.max()) + 1
        flat = packing.unpad(offsets.to(device).unsqueeze(-1)).squeeze(-1)
        rows = torch.arange(packing.rows).unsqueeze(1).expand(-1, packing.width)
        self._places = flat  # (tokens,)
        self._rows = packing.unpad(rows.to(device).unsqueeze(-1)).squeeze(-1)
        hidden = torch.arange(self._visible) > offsets.unsqueeze(-1)  # (rows, width, visible)
        self._own_bias = torch.zeros(hidden.shape).masked_fill(hidden, _EMPTY).to(device)
        self._before = max((p.length for p in prefixes), default=0)
        self._members = [
            torch.tensor(
                [row for row, of in enumerate(prefix_of_row) if of == index], device=device
            )
            for index in range(len(prefixes))
        ]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attention of one layer; the keys and values join those in the slots."""
        keys, values = self._slots.keys[layer], self._slots.values[layer]
        keys[self._rows, :, self._places] = key.transpose(0, 1)
        values[self._rows, :, self._places] = value.transpose(0, 1)
        rows, width = self._packing.rows, self._packing.width
        kv_heads, dim = key.shape[0], key.shape[2]
        groups = query.shape[0] // kv_heads
        # Query heads of one key head become further queries of it: keys are read once, not copied.
        asked = self._packing.pad(query * scale).reshape(rows, kv_heads, groups * width, dim)
        own_keys, own_values = keys[:rows, :, : self._visible], values[:rows, :, : self._visible]
        own = (asked @ own_keys.transpose(2, 3)).view(rows, kv_heads, groups, width, -1)
        own = own + self._own_bias[:, None, None].to(own.dtype)
        own = own.view(rows, kv_heads, groups * width, -1)
        if not self._before:
            mixed = torch.softmax(own, dim=-1) @ own_values
            return self._unpacked(mixed, groups)
        scores = asked.new_full((rows, kv_heads, groups * width, self._before), _EMPTY)
        for prefix, members in zip(self._prefixes, self._members, strict=True):
            several = asked[members].transpose(0, 1)  # (kv heads, members, queries, dim)
            found = several.flatten(1, 2) @ prefix.keys[layer].transpose(1, 2)
            shaped = found.view(kv_heads, len(members), groups * width, prefix.length)
            scores[members, :, :, : prefix.length] = shaped.transpose(0, 1)
        weights = torch.softmax(torch.cat([scores, own], dim=-1), dim=-1)
        mixed = weights[..., self._before :] @ own_values
        for prefix, members in zip(self._prefixes, self._members, strict=True):
            several = weights[members, :, :, : prefix.length].transpose(0, 1).flatten(1, 2)
            found = several @ prefix.values[layer]
            shaped = found.view(kv_heads, len(members), groups * width, dim)
            mixed[members] += shaped.transpose(0, 1)
        return self._unpacked(mixed, groups)

    def _unpacked(self, mixed: Tensor, groups: int) -> Tensor:
        rows, width = self._packing.rows, self._packing.width
        dim = mixed.shape[-1]
        by_token = mixed.view(rows, -1, groups, width, dim).permute(0, 3, 1, 2, 4)
        return self._packing.unpad(by_token.reshape(rows, width, -1))


def register() -> None:
    """Make the attention function known to `transformers` under the name `ATTENTION`."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _attend)


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    curec_pass: PrefillPass | DecodePass,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention interface: (1, heads, tokens, dim) each → (1, tokens, heads, dim)."""
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    mixed = curec_pass.attend(module.layer_idx, query[0], key[0], value[0], scale)
    return mixed.view(1, query.shape[2], query.shape[1], -1), None
