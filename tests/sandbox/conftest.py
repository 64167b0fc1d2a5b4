"""The slow tests of sandboxes are a ring of their own: they need a quiet machine, and Docker's an engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reachlab.tools.code import close_sandboxes


@pytest.fixture(scope="module", autouse=True)
def nothing_else_runs() -> Iterator[None]:
    """These tests count processes and folders: what other tests have started ends first."""
    close_sandboxes()
    yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("services") and "sandbox" in item.path.parts:
            item.add_marker(pytest.mark.attacks)
