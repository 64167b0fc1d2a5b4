"""Draws inside vLLM, as a transformers session makes them: by inverse CDF, in double precision, on uniforms that
follow from the episode's seed and turn alone.

vLLM's own noise is single precision: tokens rarer than about 1e-7 would never come, and reach is measured there. With
these draws an episode is the same through either engine, but for ties that rounding decides.

A draw is a logits processor: it leaves one finite logit, and the request is greedy. Log-probabilities are unaffected,
since vLLM takes raw ones before any processor.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch

from reachlab import FloatArray
from reachlab.policies.decoding import sample
from reachlab.seeding import generator

KEY = "reachlab"


class Draw(NamedTuple):
    """What one turn is drawn with."""

    uniforms_T: FloatArray
    said: list[int]
    """The ids so far; vLLM appends to it."""


class InverseCdf:
    """vLLM's ``LogitsProcessor`` for requests with a seed; others are left alone."""

    def __init__(self, config: object, device: object, pinned: object) -> None:
        self._draws: dict[int, Draw] = {}

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, update: Any) -> None:
        """*update*: which requests joined, left and moved in the batch."""
        if update is not None:
            import_module("vllm.v1.sample.logits_processor.builtin").process_dict_updates(self._draws, update, _draw)

    def apply(self, logits_B_V: torch.Tensor) -> torch.Tensor:
        if not self._draws:
            return logits_B_V
        uniforms_B = np.array([d.uniforms_T[min(len(d.said), len(d.uniforms_T) - 1)] for d in self._draws.values()])
        rows_B = torch.tensor(list(self._draws), device=logits_B_V.device)
        ids_B, _, _ = sample(logits_B_V[rows_B], uniforms_B)
        logits_B_V[rows_B] = float("-inf")
        logits_B_V[rows_B, torch.from_numpy(ids_B).to(logits_B_V.device)] = 0.0
        return logits_B_V


def _draw(parameters: Any, prompt: object, said: list[int]) -> Draw | None:
    asked = (parameters.extra_args or {}).get(KEY)
    if asked is None:
        return None
    seed, turn = asked
    return Draw(generator(seed, "sampling", turn).random(parameters.max_tokens), said)


@cache
def processor() -> type:
    """``InverseCdf`` as the subclass that vLLM asks for."""
    base: type = import_module("vllm.v1.sample.logits_processor").LogitsProcessor
    return type("InverseCdf", (InverseCdf, base), {})
