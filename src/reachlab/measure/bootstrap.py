"""The paired hierarchical bootstrap of a contrast of two arms: tasks are resampled, then training seeds.

For pictures and for quantities without an interval of their own. Verdicts use ``intervals``: percentile limits are
too narrow at the ends of a range and know nothing of tails (no hit in any task gives the interval [0, 0]), and with
few seeds they fail: the 95 % interval of 3 seeds is the range of the three, which covers 3/4 of the time.
"""

from __future__ import annotations

import numpy as np

from reachlab import FloatArray
from reachlab.errors import BadValue
from reachlab.measure.intervals import Interval, _check_alpha

CHUNK_BYTES = 100_000_000
"""Memory that the resamples in flight may take."""
TAIL = 10
"""Resamples that must lie beyond each limit: fewer make a quantile a matter of luck."""


def paired_bootstrap(
    arm: FloatArray, base: FloatArray, alpha: float, resamples: int, rng: np.random.Generator
) -> Interval:
    """Percentile interval of mean(arm) - mean(base) with one-sided error *alpha* on each side, 0 < alpha < .5.

    *arm* (S, N), *base* (S', N): rows training seeds, columns the same N tasks. Each resample draws N tasks with
    replacement, common to both arms (paired), and within each arm its S seeds with replacement, common to all tasks;
    a single row stands for a fixed policy. Rows and columns drawn separately: Owen 2007, Ann. Appl. Statistics 1, 386
    (https://doi.org/10.1214/07-AOAS122); mildly too wide where both are many (Owen and Eckles 2012,
    https://doi.org/10.1214/12-AOAS547), too narrow for few seeds (see above).

    Tasks that any row lacks (NaN) are left out. Raises ``BadValue`` for unlike task sets, an empty set, and
    *resamples* < TAIL / alpha.
    """
    _check(arm, base, alpha, resamples)
    kept = np.isfinite(arm).all(axis=0) & np.isfinite(base).all(axis=0)
    if not kept.any():
        raise BadValue("tasks that both arms have", 0, "at least 1")
    one, other = arm[:, kept], base[:, kept]
    tasks = one.shape[1]
    size = max(1, CHUNK_BYTES // (8 * 4 * (tasks + arm.shape[0] + base.shape[0])))
    draws = [_draw(one, other, min(size, resamples - start), rng) for start in range(0, resamples, size)]
    low, high = np.quantile(np.concatenate(draws), [alpha, 1 - alpha])
    return Interval(float(one.mean() - other.mean()), float(low), float(high))


def _draw(arm: FloatArray, base: FloatArray, b: int, rng: np.random.Generator) -> FloatArray:
    """(b,) resampled contrasts: task weights (b, N) against the difference of seed-weighted rows (b, N)."""
    tasks = _weights(b, arm.shape[1], rng)
    difference = _weights(b, arm.shape[0], rng) @ arm - _weights(b, base.shape[0], rng) @ base
    out: FloatArray = np.einsum("bn,bn->b", tasks, difference)
    return out


def _weights(b: int, n: int, rng: np.random.Generator) -> FloatArray:
    """(b, n) shares with which n things appear among n draws with replacement."""
    out: FloatArray = rng.multinomial(n, np.full(n, 1 / n), size=b) / n
    return out


def _check(arm: FloatArray, base: FloatArray, alpha: float, resamples: int) -> None:
    if arm.ndim != 2 or base.ndim != 2 or arm.shape[1] != base.shape[1] or not (arm.shape[0] and base.shape[0]):
        raise BadValue("shapes of the arms", (arm.shape, base.shape), "(seeds, tasks) of the same tasks, a seed each")
    _check_alpha(alpha)
    if resamples < TAIL / alpha:
        raise BadValue("resamples", resamples, f"at least {TAIL} / alpha = {TAIL / alpha:.0f}")
