"""Named random generators: everything random in reachlab flows from one seed through here.

``generator(7, "rollout", "live", 3)`` is the same stream on every machine and in every process, and
independent of every other name. Nothing in the package touches a global generator.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, *names: object) -> int:
    """A 63-bit seed for the stream called *names* under *seed* (BLAKE2b of their text)."""
    text = "\x1f".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """A NumPy generator (PCG64) for the stream called *names* under *seed*."""
    return np.random.default_rng(derive(seed, *names))
