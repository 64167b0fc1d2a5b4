"""Tests of the real engine, in an environment that has it (``make vllm-test``). Elsewhere they are deselected: they are
no passes, and no skips either. Asked for by their marker without vLLM, they fail."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from reachlab.policies.huggingface import HuggingFacePolicy, tiny
from reachlab.policies.vllm import load
from reachlab.policies.vllm.engine import VllmEngine

INSTALLED = importlib.util.find_spec("vllm") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.vllm)
    if not INSTALLED and "vllm" not in str(config.option.markexpr):
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    if not INSTALLED:
        pytest.fail("vLLM is not installed here: make vllm-test")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base() -> HuggingFacePolicy:
    """Sampled by transformers."""
    return tiny()


@pytest.fixture(scope="session")
def policy() -> HuggingFacePolicy:
    """The same weights, sampled by vLLM."""
    return load("tiny")


@pytest.fixture(scope="session")
def engine(policy: HuggingFacePolicy) -> VllmEngine:
    assert isinstance(policy.engine, VllmEngine)
    return policy.engine
