"""``Unicode``: the space of all texts up to a length.

``gymnasium.spaces.Text`` rejects spaces and the empty string by default, takes 11 ms to check 100,000 characters, and
its shared-memory form kills asynchronous vector environments on ``é``. This one checks in constant time.

Asynchronous vector environments need ``shared_memory=False``, as with every space that is not an array.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from gymnasium.spaces import Space

from reachlab.errors import BadValue

_SAMPLED = (range(0x20, 0x7F), range(0xA1, 0x250), range(0x391, 0x3A2), range(0x4E00, 0x4F00), range(0x1F600, 0x1F640))
"""Where samples come from: ASCII, accented Latin, Greek, Chinese, and emoji beyond the 16-bit plane."""


class Unicode(Space[str]):
    """Every ``str`` of at most ``max_length`` characters, the empty one included."""

    def __init__(self, max_length: int = 1_000_000, seed: int | np.random.Generator | None = None) -> None:
        if max_length < 1:
            raise BadValue("max_length", max_length, ">= 1")
        self.max_length = max_length
        super().__init__(shape=None, dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(self, mask: None = None, probability: None = None) -> str:
        """A short text (at most 32 characters) over several scripts; masks make no sense here."""
        if mask is not None or probability is not None:
            raise BadValue("mask of a Unicode space", mask if probability is None else probability, "None")
        length = int(self.np_random.integers(min(self.max_length, 32) + 1))
        scripts = self.np_random.integers(len(_SAMPLED), size=length)
        return "".join(chr(self.np_random.choice(_SAMPLED[i])) for i in scripts)

    def to_jsonable(self, sample_n: Iterable[str]) -> list[str]:
        return list(sample_n)

    def from_jsonable(self, sample_n: list[Any]) -> list[str]:
        return [str(text) for text in sample_n]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unicode) and other.max_length == self.max_length

    def __hash__(self) -> int:
        return hash((Unicode, self.max_length))

    def __repr__(self) -> str:
        return f"Unicode(max_length={self.max_length})"
