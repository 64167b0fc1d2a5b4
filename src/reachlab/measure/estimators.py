"""Unbiased pass@k and pass@(k,T) with bands over tasks, and Cover@tau with limits that hold.

The task is the unit; attempts at a task are independent. Every ``alpha`` is one-sided.

Not covered: differences between arms (``flow``, ``contrasts``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from reachlab import FloatArray, IntArray
from reachlab.errors import BadValue
from reachlab.measure.intervals import Interval, _check_alpha, bounded_mean, clopper_pearson

LEAKS = (0.25, 0.05, 0.005)
"""Chances with which a task just short of tau may pass one of the cut-offs of ``cover_at``; fixed before any data."""


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
    missed = np.ones(attempts.shape)
    for j in range(k):  # vectors only: a table of all factors would take N * k numbers
        missed *= np.maximum(attempts - hits - j, 0) / (attempts - j)
    out: FloatArray = 1.0 - missed
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


# --------------------------------------------------------------------------------------------------------- pass@(k,T)


@dataclass(frozen=True, slots=True)
class PassTurnsPoint:
    """Mean pass@(k,T) over tasks with its band."""

    k: int
    turns: int
    success: Interval


def successes_within(turns: Sequence[IntArray], limits: Sequence[int]) -> IntArray:
    """(N, len(limits)) how many successful attempts at each task needed at most T turns, for each T of *limits*.

    *turns*: for each of N tasks the turns of its successful attempts, in any order, possibly none; >= 0.
    """
    if any(np.size(t) and int(np.min(t)) < 0 for t in turns):
        raise BadValue("turns of a successful attempt", [np.min(t) for t in turns if np.size(t)], "at least 0")
    found = [np.searchsorted(np.sort(t), limits, side="right") for t in turns]
    return np.array(found, np.int64).reshape(len(turns), len(limits))


def pass_surface(
    n: IntArray, within: IntArray, limits: Sequence[int], alpha: float, ks: tuple[int, ...] | None = None
) -> list[PassTurnsPoint]:
    """pass@(k,T): the probability that one of k independent attempts of at most T turns each succeeds.

    Zhai et al. 2026, arXiv 2604.14877, section 2. An attempt of at most T turns is again one Bernoulli trial, so
    ``pass_at_k`` with the successes within T turns is unbiased at every (k, T). From (N,) attempts *n* and
    (N, len(limits)) successes *within* (``successes_within``); k and bands as in ``pass_curve``, for each T.

    One run at the largest turn limit gives all smaller ones exactly if the policy is not told the limit; if it is
    told, run it anew for each T.
    """
    if within.shape != (np.size(n), len(limits)):
        raise BadValue("shape of successes within limits", within.shape, f"({np.size(n)}, {len(limits)})")
    curves = [pass_curve(n, within[:, j], alpha, ks) for j in range(len(limits))]
    return [PassTurnsPoint(p.k, t, p.success) for t, curve in zip(limits, curves, strict=True) for p in curve]


# ---------------------------------------------------------------------------------------------------------- Cover@tau


@dataclass(frozen=True, slots=True)
class CoverPoint:
    """Share of tasks whose success probability is at least tau, with its limits."""

    tau: float
    share: Interval


def cover_at(n: IntArray, c: IntArray, tau: float, alpha: float) -> Interval:
    """Cover@tau, G = share of tasks with success probability p >= tau; 0 < tau <= 1.

    Dragoi et al. 2025, arXiv 2510.08325: pass@k is the mean of G over tau ~ Beta(1, k). The value is the published
    plug-in, the share with c/n >= tau. It is biased (at p = .45, 44 % of tasks show 8 or more of 16), so the limits do
    not rest on it. For cut-offs m fixed by n and tau, with b = P(Bin(n, tau) >= m), tasks short of tau pass with at
    most b:

        P(c >= m) <= G + (1 - G) b,   hence   G >= (L - b) / (1 - b),

    L the Clopper-Pearson lower limit of the share with c >= m. The same for failures, n - c and 1 - tau, limits
    1 - G. Each side takes the best of ``LEAKS`` cut-offs at alpha / len(LEAKS). No task is judged by itself.

    *n*, *c* (N,) attempts and successes; with unequal n, which must not depend on difficulty, each task has its own
    cut-off and b is the largest. Tasks without attempts are left out; without any the interval is [0, 1] around NaN.
    """
    _check_alpha(alpha)
    attempts, hits = _attempted(n, c)
    if not 0 < tau <= 1:
        raise BadValue("tau", tau, "above 0, at most 1")
    if attempts.size == 0:
        return Interval(math.nan, 0.0, 1.0)
    reached = hits >= attempts * tau - 1e-9
    low = _share_above(attempts, hits, tau, alpha)
    high = 1.0 - _share_above(attempts, attempts - hits, 1.0 - tau, alpha)
    return Interval(float(np.mean(reached)), low, high)


def cover_curve(n: IntArray, c: IntArray, taus: Sequence[float], alpha: float) -> list[CoverPoint]:
    """``cover_at`` at each of *taus*; the limits hold at each tau by itself, not for the whole curve at once."""
    return [CoverPoint(tau, cover_at(n, c, tau, alpha)) for tau in taus]


def _share_above(n: IntArray, c: IntArray, q: float, alpha: float) -> float:
    """Lower limit of the share of tasks whose probability is not below *q*."""
    best, (distinct, which) = 0.0, np.unique(n, return_inverse=True)
    for leak in LEAKS:
        cuts, b = _cut_offs(tuple(distinct.tolist()), q, leak)
        passed = clopper_pearson(int(np.sum(c >= cuts[which])), n.size, alpha / len(LEAKS)).low
        best = max(best, (passed - b) / (1 - b) if b < 1 else 0.0)
    return best


@lru_cache(maxsize=256)
def _cut_offs(n: tuple[int, ...], q: float, leak: float) -> tuple[IntArray, float]:
    """The cut-off m of each number of attempts, and the largest P(Bin(n, q) >= m)."""
    attempts = np.array(n)
    cuts = np.minimum(stats.binom.isf(leak, attempts, q) + 1, attempts).astype(np.int64)
    return cuts, float(np.max(stats.binom.sf(cuts - 1, attempts, q)))


def _attempted(n: IntArray, c: IntArray) -> tuple[IntArray, IntArray]:
    """Attempts and successes of the tasks that were attempted, checked."""
    attempts, hits = np.asarray(n, np.int64), np.asarray(c, np.int64)
    if attempts.shape != hits.shape or np.any(hits < 0) or np.any(hits > attempts):
        raise BadValue("n, c", (n, c), "one c for each n, 0 <= c <= n")
    return attempts[attempts > 0], hits[attempts > 0]
