"""What of the vLLM policy needs no vLLM: options, draws, noticing that weights have changed."""

from __future__ import annotations

import copy
import importlib.util
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from reachlab.errors import BadValue, MissingExtra, UnknownName
from reachlab.policies.adapters import sharing
from reachlab.policies.decoding import sample
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.vllm import load, sync
from reachlab.policies.vllm.sampling import KEY, InverseCdf, _draw
from reachlab.policies.vllm.settings import Settings, padded
from reachlab.seeding import generator

WITHOUT = pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")


@WITHOUT
def test_without_vllm_the_extra_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"reachlab\[vllm"):
        load("tiny")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", 0), ("rows", "many"), ("context", 8), ("tolerance", 0.0), ("tolerance", "little"), ("cache_bytes", 1),
        ("lora_rank", -1), ("lora_rank", 999),
    ],
)  # fmt: skip
def test_options_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(BadValue):
        Settings(**{name: value})


def test_a_misspelt_option_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'context'"):
        load("tiny", contxt=64)


def test_ranks_are_padded_to_what_there_are_kernels_for() -> None:
    assert [padded(r) for r in (0, 1, 2, 8, 9, 100, 512)] == [0, 1, 8, 8, 16, 128, 512]


def test_draws_are_those_of_a_transformers_session() -> None:
    """Row by row, by the seed, the turn and the tokens said so far; rows without a seed are left alone."""
    logits_B_V = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    said: list[list[int]] = [[], [7, 7]]
    processor: Any = InverseCdf(None, None, None)
    for row, turn in ((0, 0), (2, 3)):
        asked = SimpleNamespace(extra_args={KEY: (11 + row, turn)}, max_tokens=5)
        processor._draws[row] = _draw(asked, None, said[row // 2])
    assert _draw(SimpleNamespace(extra_args=None, max_tokens=5), None, []) is None
    uniforms = [generator(11, "sampling", 0).random(5)[0], generator(13, "sampling", 3).random(5)[2]]
    expected, _, _ = sample(logits_B_V[[0, 2]], np.array(uniforms))
    left = processor.apply(logits_B_V.clone())
    assert left[[0, 2]].argmax(-1).tolist() == expected.tolist()
    assert torch.isfinite(left[[0, 2]]).sum(-1).tolist() == [1, 1]
    assert torch.equal(left[1], logits_B_V[1])


def test_changed_weights_are_noticed(base: HuggingFacePolicy) -> None:
    model = copy.deepcopy(base.model)
    seen = sync.Seen.of(sync.whole(model))
    assert seen.still(sync.whole(model))
    assert seen.still(sync.whole(sharing(model)))  # other modules, the same tensors
    assert not seen.still(sync.whole(base.model))  # equal, but somewhere else
    with torch.no_grad():
        next(model.parameters())[3, 5] += 1.0
    assert not seen.still(sync.whole(model))
    seen = sync.Seen.of(sync.whole(model))
    for parameter in model.parameters():
        parameter.data.mul_(1.01)  # which PyTorch does not count
    assert not seen.still(sync.whole(model))


def test_steps_of_an_optimizer_are_noticed(base: HuggingFacePolicy) -> None:
    model = copy.deepcopy(base.model)
    for foreach, fused in ((False, False), (True, False), (False, True)):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, foreach=foreach, fused=fused)
        seen = sync.Seen.of(sync.whole(model))
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 1e-3)
        optimizer.step()
        assert not seen.still(sync.whole(model)), (foreach, fused)


def test_weights_carry_the_names_of_a_checkpoint_and_tied_ones_come_once(base: HuggingFacePolicy) -> None:
    names = set(sync.whole(base.model))
    assert "model.embed_tokens.weight" in names and "lm_head.weight" not in names
    assert len(names) == len({id(p) for p in base.model.parameters()})
