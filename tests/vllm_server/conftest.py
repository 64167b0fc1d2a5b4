"""Tests of vLLM's server, in an environment that has it; elsewhere they are deselected, and fail if asked for."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

INSTALLED = importlib.util.find_spec("vllm") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    if not INSTALLED and "vllm" not in str(config.option.markexpr):
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    if not INSTALLED:
        pytest.fail("vLLM is not installed here")
