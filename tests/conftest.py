"""Every test belongs to one ring; those that do not say which are unit tests."""

import pytest

RINGS = ("unit", "smoke", "services", "vllm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not any(item.get_closest_marker(ring) for ring in RINGS):
            item.add_marker(pytest.mark.unit)
