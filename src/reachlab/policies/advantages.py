"""Advantages of grouped episodes: pure functions of rewards.

Group-relative: DeepSeekMath (arXiv 2402.03300), without the division by the standard deviation unless asked
(arXiv 2503.20783 shows the bias it brings). Leave-one-out: RLOO (arXiv 2402.14740).
"""

from __future__ import annotations

import numpy as np

from reachlab import FloatArray
from reachlab.errors import BadValue

KINDS = ("group", "group-scaled", "leave-one-out")


def advantages(rewards_G_K: FloatArray, kind: str = "group") -> FloatArray:
    """(G, K) advantages of G groups of K episodes; NaN rewards (faults) get advantage 0 and leave the baseline alone.

    A group whose rewards are all equal has advantage 0.
    """
    if kind not in KINDS:
        raise BadValue("advantages", kind, ", ".join(KINDS))
    valid = ~np.isnan(rewards_G_K)
    count = valid.sum(1, keepdims=True)
    rewards = np.where(valid, rewards_G_K, 0.0)
    centred = rewards - rewards.sum(1, keepdims=True) / np.maximum(count, 1)
    if kind == "leave-one-out":
        centred = centred * count / np.maximum(count - 1, 1)
    elif kind == "group-scaled":
        spread = np.sqrt(np.where(valid, centred**2, 0.0).sum(1, keepdims=True) / np.maximum(count, 1))
        centred = centred / np.maximum(spread, 1e-6)
    return np.where(valid & (count > 1), centred, 0.0)


def mixed(rewards_G_K: FloatArray) -> int:
    """How many groups hold different rewards. None: there is nothing to learn, and Adam would amplify noise."""
    low, high = np.nanmin(rewards_G_K, axis=1, initial=np.inf), np.nanmax(rewards_G_K, axis=1, initial=-np.inf)
    return int((low < high).sum())
