"""What synthetic questions are about, drawn so that training (parity 0) and test (parity 1) share none of it."""

from __future__ import annotations

import numpy as np

from reachlab import Split
from reachlab.envs.lexicon import SYLLABLES


def parity(split: Split) -> int:
    return int(split == "test")


def word(rng: np.random.Generator, parity: int, syllables: int) -> str:
    """The first syllable is from the first half of ``SYLLABLES`` in training, from the second in test."""
    half = len(SYLLABLES) // 2
    first = int(rng.integers(half)) + parity * half
    return "".join(SYLLABLES[i] for i in [first, *rng.integers(len(SYLLABLES), size=syllables - 1).tolist()])


def number(rng: np.random.Generator, parity: int, digits: int) -> int:
    """A number of that many digits, even in training, odd in test."""
    low = 10 ** (digits - 1) if digits > 1 else 0
    return 2 * int(rng.integers(low // 2, 10**digits // 2)) + parity
