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
from typing import Literal, NamedTuple

import numpy as np
from scipy import optimize, special, stats

from reachlab import Estimate, FloatArray
from reachlab.errors import BadValue

MIN_SEEDS = 3
"""Training runs from which the spread between runs enters an interval; below, statements hold for these runs."""
NODES = 64
"""Trapezoid nodes on the upper half of the contour of ``dirichlet_mean_cdf``."""
REACH = 12.5
"""Where they end: with two weights the integrand has then fallen by exp(-2 * 12.5)."""
MOST_STEPS = 50


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


# ---------------------------------------------------------------------------------------- mean under Dirichlet weights

# Everything below computes P(sum_i w_i z_i <= q), w uniform on the simplex of n weights. With E_i unit exponentials it
# is P(sum E_i (z_i - q) <= 0), an inverse Laplace integral: 1/(2 pi i) int prod (1 - (z_i - q) s)^-1 ds / (-s), taken
# upwards between the poles of z_i < q and 0, say through s = -x. In units of x each factor is (1 + (z_i - q) x)
# (1 - g_i d) with s = x (d - 1), and the pole at 0 is one more factor, g = 1. With x = v / (1 + q v) the g_i are
# 1 - (1 + q v) / (1 + z_i v): v > 0 is the tilt of an exponential family and free of bounds.


class _Tail(NamedTuple):
    """P(q) with its first two derivatives in q, and the curvature of the log integrand at the crossing."""

    p: float
    slope: float
    bend: float
    curvature: float


def _grid() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Nodes u of the contour (positive half) with cosh u - 1, sinh u and trapezoid weights.

    u = 3 sinh t: nodes lie close at the crossing and go far enough for two tasks as for ten thousand.
    """
    t = np.linspace(0.0, math.asinh(REACH / 3), NODES)
    u, weight = 3 * np.sinh(t), 3 * np.cosh(t) * t[1] / math.pi
    weight[0] /= 2
    return np.cosh(u) - 1, np.sinh(u), weight


_OUT, _UP, _WEIGHT = _grid()


def _tail(z: FloatArray, counts: FloatArray, q: float, v: float) -> _Tail:
    """P(q) by the trapezoid rule on a hyperbola through the real axis at x(v), 0 = z[0] < q < z[-1].

    The crossing should be near the saddle point, where the integrand falls fastest to both sides; the hyperbola bends
    to the side on which it then goes on falling (for equal weights of the factors by their skewness), since on a
    straight line e^(-c s) of many like tasks would turn without falling. The angle stays below 45 degrees, the rule
    converges geometrically and there is no cancellation: tails of 1e-12 keep their relative accuracy.
    Weideman and Trefethen (2007), Math. Comp. 76, 1341; u = 3 sinh t after Takahasi and Mori (1974).
    """
    n, r = float(counts.sum()), 1 + q * v
    f = 1 / (1 + z * v)
    height = n * math.log(r) + float(counts @ np.log(f))
    g, m = np.append(1 - r * f, 1.0), np.append(counts, 1.0)
    curvature = float(m @ (g * g))
    width = 1 / math.sqrt(curvature)
    h = g * width
    lean = 2 * float(m @ (h**3 / (1 + h * h)))
    out = lean * _OUT
    real, imag = 1 - np.multiply.outer(out, h), np.multiply.outer(_UP, h)
    size, angle = np.log(real * real + imag * imag) @ m, np.arctan2(imag, real) @ m
    step = (width * _WEIGHT) * ((1 + _OUT) - 1j * lean * _UP)
    mass = np.exp(height - size / 2 + 1j * angle) * step
    # P(q + e) = sum mass (1 - e s)^(n-1) holds for all small e: substitute s / (1 - e s) for s.
    s = (width * (out + 1j * _UP) - 1) * (v / r)
    first = mass * s
    slope, bend = float(first.real.sum()), float((first * s).real.sum())
    return _Tail(float(mass.real.sum()), (1 - n) * slope, (n - 1) * (n - 2) * bend, curvature)


def _saddle(z: FloatArray, counts: FloatArray, v: float) -> tuple[float, float, float]:
    """The q whose saddle point has tilt v as r = 1 + q v; the curvature there; log P(q) by Laplace's approximation.

    The saddle condition sum counts g + 1 = 0 is solved by r = (n + 1) / sum counts f; q falls as v grows.
    """
    n = float(counts.sum())
    f = 1 / (1 + z * v)
    r = (n + 1) / float(counts @ f)
    g = 1 - r * f
    curvature = float(counts @ (g * g)) + 1
    log_p = n * math.log(r) + float(counts @ np.log(f)) - math.log(2 * math.pi * curvature) / 2
    return r, curvature, log_p


def dirichlet_mean_cdf(values: FloatArray, counts: FloatArray, q: float) -> float:
    """P(sum_i w_i z_i <= q) for w uniform on the simplex: z has ``values`` (M,), repeated ``counts`` (M,) times.

    Relative error below 1e-9 for 1 to 10,000 tasks and tails from 1e-12 to .1, below 1e-7 up to .5.
    """
    least = float(values.min())
    if q >= values.max():
        return 1.0
    if q <= least:
        return 0.0
    z, above, n = values - least, q - least, float(counts.sum())
    # n / (1 + n v) <= sum f <= n and the zeros' counts bound the tilt from both sides.
    ends = math.log(1 / (n * above)), math.log(((n + 1) / float(counts[z == 0].sum()) - 1) / above)

    def excess(t: float) -> float:
        return (_saddle(z, counts, math.exp(t))[0] - 1) / (above * math.exp(t)) - 1

    v = math.exp(optimize.brentq(excess, ends[0] - 1e-9, ends[1] + 1e-9, xtol=1e-3))
    return min(max(_tail(z, counts, above, v).p, 0.0), 1.0)


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
    """The alpha-quantile of ``dirichlet_mean_cdf``. Cached: one verdict asks for the same limit many times.

    Newton's method on log P from Laplace's approximation, two contours as a rule. P is log-concave in q (the density
    of the mean is a B-spline: Curry and Schoenberg 1966, J. Analyse Math. 17, 71), so that it converges from anywhere;
    Halley's second-order term makes the last step exact to the rounding.
    """
    z, weight = np.frombuffer(values), np.frombuffer(counts)
    n, target = float(weight.sum()), math.log(alpha)
    v = _start(z, weight, alpha)
    q = (_saddle(z, weight, v)[0] - 1) / v
    for _ in range(MOST_STEPS):
        tail = _tail(z, weight, q, v)
        gap = math.log(tail.p) - target
        step = -gap * tail.p / tail.slope
        if abs(gap) < 0.5:
            step /= 1 + step / 2 * (tail.bend / tail.slope - tail.slope / tail.p)
        old, q = q, min(max(q + step, q / 8), (q + 7 * float(z[-1])) / 8)
        if abs(gap) < 1e-3:
            break
        v *= math.exp(min(max((old - q) * v * (n + 1) / tail.curvature, -2.0), 2.0))
    return q


def _start(z: FloatArray, counts: FloatArray, alpha: float) -> float:
    """The tilt at which Laplace's approximation of the tail is *alpha* to within a tenth: Newton from the normal law."""
    r = -float(special.ndtri(alpha))
    spread = math.sqrt(float(counts @ (z - float(z @ counts) / float(counts.sum())) ** 2))
    t = math.log((r + math.hypot(r, 2)) / (2 * spread))
    for _ in range(MOST_STEPS):
        r, curvature, log_p = _saddle(z, counts, math.exp(t))
        gap = log_p - math.log(alpha)
        if abs(gap) < 0.1:
            break
        t += min(max(gap * r / curvature, -2.0), 2.0)
    return math.exp(t)


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
    Lower: Gaffke's with the end 0. Both stay away from the mean where all values are alike: a sample in which nothing
    rare was seen does not show that there is nothing rare.
    """
    _check_alpha(alpha)
    if values.size == 0:
        return Interval(math.nan, 0.0, math.inf)
    mean = float(values.mean())
    if values.size < 2:
        return Interval(mean, 0.0, math.inf)
    high = -lower_limit(-values, alpha, -2 * float(values.max()))
    return Interval(mean, lower_limit(values, alpha), high)


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
