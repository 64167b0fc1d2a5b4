"""Confidence limits of means over tasks. Every ``alpha`` here is one-sided: a 95 % interval passes .025.

The task is the unit (DESIGN 2, Statistics). Task means live in a known range, are often at its ends, and verdicts
need one-sided errors of .001 and below, where normal and percentile-bootstrap limits fail: 99 full successes in 100
tasks read as a mean above .958 by Student's t at .001, though .93 gives such a sample six times in a thousand. The
limit used is Gaffke's: the Bayesian bootstrap of the task means after adding one task at the worst end of the range.

* For task means that are all 0 or 1 it *is* the Clopper-Pearson limit with n = tasks.
* Away from the ends it tends to the bootstrap and Student limits.
* N. Gaffke (2005), Math. Methods of Statistics 14, 451-467; Learned-Miller and Thomas, arXiv 1905.06208. Its coverage
  for every bounded distribution is a conjecture with no known counterexample; the tests hold it to simulations.

Not covered: limits for means of unbounded quantities beyond ``positive_mean`` (a heuristic end).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from reachlab import Estimate, FloatArray
from reachlab.errors import BadValue

Complex = npt.NDArray[np.complexfloating[Any, Any]]
MIN_SEEDS = 3
"""Training runs from which the spread between runs enters an interval; below, statements hold for these runs."""
BLOCK = 16
"""Factors multiplied before a logarithm: 16 factors of at most 1e18 do not overflow."""
NODES = 145
"""Trapezoid nodes of the contour integral: relative error below 1e-9 for 1 to 10,000 tasks."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its one-sided limits; a limit may be infinite here, never in an ``Estimate``."""

    value: float
    low: float
    high: float

    def clip(self, low: float = 0.0, high: float = 1.0) -> Interval:
        return Interval(*(min(max(v, low), high) for v in (self.value, self.low, self.high)))

    def estimate(self, kind: Literal["exact", "sampled", "bound"] = "sampled", reason: str = "") -> Estimate:
        """The printable form: a limit that is not finite becomes None, a value that is not makes it missing."""
        if not math.isfinite(self.value):
            return Estimate.missing(reason or "not finite")
        low, high = (v if math.isfinite(v) else None for v in (self.low, self.high))
        return Estimate(self.value, (low, high), kind, reason)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise BadValue("alpha (one-sided error)", alpha, "above 0, below 0.5")


def clopper_pearson(c: int, n: int, alpha: float) -> Interval:
    """Exact limits of a binomial probability, each with one-sided error *alpha* (Clopper and Pearson 1934).

    *c* successes of *n* >= 1. For n = sum of equal numbers of attempts on tasks of unlike difficulty they still cover
    the mean over those tasks: the sum is less spread than a binomial (Hoeffding 1956, Ann. Math. Stat. 27, 713).
    """
    _check_alpha(alpha)
    if not 0 <= c <= n or n < 1:
        raise BadValue("successes of attempts", (c, n), "0 <= c <= n, n >= 1")
    low = float(stats.beta.ppf(alpha, c, n - c + 1)) if c > 0 else 0.0
    high = float(stats.beta.isf(alpha, c + 1, n - c)) if c < n else 1.0
    return Interval(c / n, low, high)


def pooled_upper(c: int, n: int, alpha: float) -> float:
    """U: one-sided upper limit of the mean success over tasks, from *c* hits in *n* attempts (1 when n = 0)."""
    return clopper_pearson(c, n, alpha).high if n else 1.0


def dirichlet_mean_cdf(values: FloatArray, counts: FloatArray, q: float) -> float:
    """P(sum_i w_i z_i <= q) for w uniform on the simplex: z has ``values`` (M,), repeated ``counts`` (M,) times.

    With E_i unit exponentials it is P(sum E_i (z_i - q) <= 0). The inverse Laplace integral
    1/(2 pi i) int prod (1 - a_i s)^-1 / (-s) ds is taken on the vertical line through its saddle point, where the
    trapezoid rule converges geometrically, so tails of 1e-12 keep their relative accuracy.
    """
    if q >= values.max():
        return 1.0
    if q <= values.min():
        return 0.0
    a = (values - q) / (q - values.min())  # the smallest becomes -1: the strip is s in (-1, 0)

    def slope(x: float) -> float:
        return float(np.sum(counts * a / (1 + a * x))) + 1 / x

    x = float(optimize.brentq(slope, 1e-14, 1 - 1e-14, xtol=1e-15, maxiter=300))
    curvature = float(np.sum(counts * (a / (1 + a * x)) ** 2)) + 1 / x**2
    # y = width * sinh(u): close nodes at the saddle, and an end far enough for three tasks as for three thousand.
    u = np.linspace(0.0, 12.0, NODES)
    y = np.sinh(u) / math.sqrt(curvature)
    s = -x + 1j * y
    log_height = -_log_product(s, a, counts) - np.log(-s)
    integrand = np.exp(log_height).real * np.cosh(u) / math.sqrt(curvature)
    area = float((u[1] - u[0]) * (integrand.sum() - integrand[0] / 2))
    return min(max(area / math.pi, 0.0), 1.0)


def _log_product(s: Complex, a: FloatArray, counts: FloatArray) -> Complex:
    """sum_i counts_i log(1 - a_i s), up to multiples of 2 pi i: many distinct values are multiplied in blocks first."""
    out: Complex
    if a.size <= 2 * BLOCK:
        out = np.log(1 - np.multiply.outer(s, a)) @ counts
        return out
    every = np.repeat(a, counts.astype(int))
    blocks = np.append(every, np.zeros(-every.size % BLOCK)).reshape(-1, 1, BLOCK)
    out = np.log(np.prod(1 - s[:, None] * blocks, axis=-1)).sum(axis=0)
    return out


def lower_limit(values: FloatArray, alpha: float, low: float = 0.0) -> float:
    """Lower confidence limit of the mean of i.i.d. (N,) *values* that cannot fall below *low* (Gaffke)."""
    _check_alpha(alpha)
    if values.size == 0:
        return -math.inf
    if float(values.min()) < low - 1e-12:
        raise BadValue("a value of the sample", float(values.min()), f"at least {low}")
    scale = float(values.max()) - low
    if not scale > 0:
        return low
    unit = np.append(np.maximum(values - low, 0.0) / scale, 0.0).round(12)
    z, counts = np.unique(unit, return_counts=True)
    return low + scale * _quantile(z.tobytes(), counts.astype(np.float64).tobytes(), alpha)


@lru_cache(maxsize=4096)
def _quantile(values: bytes, counts: bytes, alpha: float) -> float:
    """The alpha-quantile of ``dirichlet_mean_cdf``. Cached: one verdict asks for the same limit many times."""
    z, weight = np.frombuffer(values), np.frombuffer(counts)
    mean = float(z @ weight / weight.sum())
    target = math.log(alpha)

    def gap(q: float) -> float:
        tail = dirichlet_mean_cdf(z, weight, q)
        return (math.log(tail) if tail > 0 else -1e4) - target

    left, right = float(z[0]), float(z[-1])
    if gap(mean) > 0:
        right = mean
    return float(optimize.brentq(gap, left, right, xtol=1e-12, rtol=1e-9))


def bounded_mean(values: FloatArray, alpha: float, low: float = 0.0, high: float = 1.0) -> Interval:
    """Mean of (N,) *values* in [low, high] with both one-sided limits; no values give the whole range."""
    if values.size == 0:
        return Interval(math.nan, low, high)
    upper = -lower_limit(-values, alpha, -high)
    return Interval(float(values.mean()), lower_limit(values, alpha, low), upper)


def positive_mean(values: FloatArray, alpha: float) -> Interval:
    """Mean of (N,) *values* >= 0 without an upper bound, such as nats; fewer than two give no upper limit.

    Upper: Gaffke's, as if no task could exceed twice the largest seen. Nats are skewed to the right, where Student's
    limit misses up to ten times its nominal error (60 log-normal tasks, at .005); with this end simulated errors stay
    below nominal unless tasks ten times the rest are too rare to be seen at all.
    Lower: Student's, widened to the second order in the skewness where that points left (Johnson 1978, JASA 73, 536).
    """
    _check_alpha(alpha)
    n = values.size
    if n == 0:
        return Interval(math.nan, 0.0, math.inf)
    mean = float(values.mean())
    if n < 2:
        return Interval(mean, 0.0, math.inf)
    deviation = float(values.std(ddof=1))
    if deviation <= 1e-12 * mean:
        return Interval(mean, mean, mean)
    t = float(stats.t.isf(alpha, n - 1))
    skew = float(np.mean((values - mean) ** 3)) / deviation**3
    below = (t + max(0.0, -skew) * (1 + 2 * t * t) / (6 * math.sqrt(n))) * deviation / math.sqrt(n)
    high = -lower_limit(-values, alpha, -2 * float(values.max()))
    return Interval(mean, max(0.0, mean - below), high)


def student(values: FloatArray, alpha: float) -> Interval:
    """Student's limits of the mean of (S,) *values*, S >= 2; for training seeds (a bootstrap over 3 covers 74 %)."""
    _check_alpha(alpha)
    if values.size < 2:
        raise BadValue("values for Student's interval", values.size, "at least 2")
    mean = float(values.mean())
    half = float(stats.t.isf(alpha, values.size - 1)) * float(values.std(ddof=1)) / math.sqrt(values.size)
    return Interval(mean, mean - half, mean + half)


def with_seeds(task: Interval, seed_means: FloatArray, alpha: float) -> Interval:
    """Widen a task interval by the spread between training runs: half-widths combine as root sum of squares.

    *seed_means* (S,); fewer than ``MIN_SEEDS`` leave the interval as it is, a statement about those runs (with two,
    Student's factor at .001 is 318 and nothing could ever be said).
    """
    if seed_means.size < MIN_SEEDS:
        return task
    half = student(seed_means, alpha).high - float(seed_means.mean())
    below, above = math.hypot(task.value - task.low, half), math.hypot(task.high - task.value, half)
    return Interval(task.value, task.value - below, task.value + above)
