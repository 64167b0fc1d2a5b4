"""Key-value caches of many transcripts that grow in place and give up finished rows.

All rows of a ``Rows`` share their columns; a row without a token in a column has a hole there (mask False), and
positions are explicit, so ragged rows are exact. ``torch.cat`` at each step (Hugging Face's ``DynamicCache``) took
half of the time of a decode step of a tiny model; these buffers are written in place.

Not covered: models with linear-attention or compressed caches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

GROWTH = 12
"""Columns added when a buffer is full: a call or a short answer. More would hold memory that most rows never use."""


class GrowingLayer(DynamicLayer):
    """One layer's keys and values, (B, H, C, D), written in place up to ``used`` columns."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.used = 0

    @classmethod
    def of(cls, keys_B_H_C_D: torch.Tensor, values_B_H_C_D: torch.Tensor) -> GrowingLayer:
        layer = cls()
        layer.keys, layer.values, layer.used = keys_B_H_C_D, values_B_H_C_D, keys_B_H_C_D.shape[2]
        layer.dtype, layer.device, layer.is_initialized = keys_B_H_C_D.dtype, keys_B_H_C_D.device, True
        return layer

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.keys, self.values = key_states, value_states
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            self.used = key_states.shape[2]
            return key_states, value_states
        end = self.used + key_states.shape[2]
        if end > self.keys.shape[2]:
            self.keys, self.values = (self._grown(states, end + GROWTH) for states in (self.keys, self.values))
        self.keys[:, :, self.used : end] = key_states
        self.values[:, :, self.used : end] = value_states
        self.used = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        return self.used

    def _grown(self, states_B_H_C_D: torch.Tensor, width: int) -> torch.Tensor:
        b, h, _, d = states_B_H_C_D.shape
        wide = states_B_H_C_D.new_empty((b, h, width, d))
        wide[:, :, : self.used] = states_B_H_C_D[:, :, : self.used]
        return wide


@dataclass
class Rows:
    """The cache of B transcripts with C columns."""

    layers: list[GrowingLayer]
    mask_B_C: torch.Tensor
    """bool; True where the row has a token."""
    lengths_B: torch.Tensor
    """Tokens of each row so far: its next position."""

    def cache(self) -> DynamicCache:
        cache = empty_cache()
        cache.layers = list(self.layers)
        return cache

    def cut(self, row: int, length: int) -> None:
        """Forget all but the first *length* tokens of a row: the columns of the others become holes."""
        self.mask_B_C[row, self.mask_B_C[row].nonzero()[length:, 0]] = False
        self.lengths_B[row] = length

    def select(self, rows: torch.Tensor) -> Rows:
        """Copies of the given rows, without the columns that none of them uses."""
        mask = self.mask_B_C[rows]
        columns = mask.any(0).nonzero()[:, 0]
        every = len(columns) == mask.shape[1]
        layers = []
        for layer in self.layers:
            keys, values = layer.keys[rows, :, : layer.used], layer.values[rows, :, : layer.used]
            if not every:
                keys, values = keys[:, :, columns], values[:, :, columns]
            layers.append(GrowingLayer.of(keys, values))
        return Rows(layers, mask if every else mask[:, columns], self.lengths_B[rows])


def empty_cache() -> DynamicCache:
    """A cache whose layers come into being as ``GrowingLayer`` at the first forward pass."""
    cache = DynamicCache()
    cache.layer_class_to_replicate = GrowingLayer
    return cache


def growing(cache: DynamicCache) -> list[GrowingLayer]:
    """The layers of a cache that ``empty_cache`` made."""
    return [layer for layer in cache.layers if isinstance(layer, GrowingLayer)]


def merge(parts: Sequence[Rows]) -> Rows:
    """One ``Rows`` that holds the rows of all *parts*, in order. They give up theirs layer by layer: both whole would
    take twice the memory."""
    if len(parts) == 1:
        return parts[0]
    width = max(p.mask_B_C.shape[1] for p in parts)
    layers = []
    while parts[0].layers:
        same = [part.layers.pop(0) for part in parts]
        keys = torch.cat([_widen(part.keys[:, :, : part.used], width) for part in same])
        values = torch.cat([_widen(part.values[:, :, : part.used], width) for part in same])
        layers.append(GrowingLayer.of(keys, values))
    masks = [torch.nn.functional.pad(p.mask_B_C, (0, width - p.mask_B_C.shape[1])) for p in parts]
    return Rows(layers, torch.cat(masks), torch.cat([p.lengths_B for p in parts]))


def _widen(states_B_H_C_D: torch.Tensor, width: int) -> torch.Tensor:
    """Zeros, not garbage, in the new columns: a masked NaN would still poison the attention's sum."""
    return torch.nn.functional.pad(states_B_H_C_D, (0, 0, 0, width - states_B_H_C_D.shape[2]))
