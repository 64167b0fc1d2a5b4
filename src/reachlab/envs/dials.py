"""Checks of the numbers that a family is dialled with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reachlab.errors import BadValue


def whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def several(name: str, value: object, most: int, allowed: str) -> tuple[int, ...]:
    """A dial of one or more whole numbers from 1 to *most*; a single one stands for itself."""
    values = [value] if whole(value) else value
    if not isinstance(values, Sequence | np.ndarray) or not len(values):
        raise BadValue(name, value, allowed)
    if not all(whole(v) and 1 <= v <= most for v in values):
        raise BadValue(name, value, allowed)
    return tuple(int(v) for v in values)
