"""Unbiased pass@k with bands over tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reachlab import FloatArray, IntArray
from reachlab.errors import BadValue
from reachlab.measure.intervals import Interval, bounded_mean


@dataclass(frozen=True, slots=True)
class PassPoint:
    """Mean pass@k over tasks with its band."""

    k: int
    success: Interval


def pass_at_k(n: IntArray, c: IntArray, k: int) -> FloatArray:
    """Unbiased pass@k per task: 1 - C(n-c, k) / C(n, k), for (N,) attempts *n* >= k and successes *c*.

    Chen et al. 2021, arXiv 2107.03374, equation 1; as the product of 1 - k/i over i = n-c+1..n, which neither
    overflows nor cancels.
    """
    attempts, hits = np.asarray(n, np.int64), np.asarray(c, np.int64)
    if k < 1 or np.any(attempts < k) or np.any(hits < 0) or np.any(hits > attempts):
        raise BadValue("k, n, c", (k, n, c), "1 <= k <= n, 0 <= c <= n")
    # C(n-c, k) / C(n, k) = prod_{j<k} (n-c-j) / (n-j); a factor <= 0 means fewer than k failures.
    j = np.arange(k)
    factors = np.maximum(attempts[:, None] - hits[:, None] - j, 0) / (attempts[:, None] - j)
    out: FloatArray = 1.0 - np.prod(factors, axis=1)
    return out


def pass_curve(n: IntArray, c: IntArray, alpha: float, ks: tuple[int, ...] | None = None) -> list[PassPoint]:
    """pass@k at powers of two (or *ks*) up to the fewest attempts of any task; bands of one-sided error *alpha*.

    The tasks are the unit: the band is that of a mean of (N,) bounded values. Tasks without attempts are left out.
    """
    kept = np.asarray(n) > 0
    attempts, hits = np.asarray(n)[kept], np.asarray(c)[kept]
    if attempts.size == 0:
        return []
    most = int(attempts.min())
    wanted = ks or (*(2**i for i in range(most.bit_length()) if 2**i < most), most)
    return [PassPoint(k, bounded_mean(pass_at_k(attempts, hits, k), alpha).clip()) for k in wanted if k <= most]
