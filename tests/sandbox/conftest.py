"""The slow tests of sandboxes are a ring of their own: they need a quiet machine, and Docker's an engine."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("services") and "sandbox" in item.path.parts:
            item.add_marker(pytest.mark.attacks)
