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
from scipy import optimize, special

from reachlab import Estimate, FloatArray
from reachlab.errors import BadValue

MIN_SEEDS = 3
"""Training runs from which the spread between runs enters an interval; below, statements hold for these runs."""
NODES = 48
"""Trapezoid nodes on the upper half of the contour; 40 leave 1e-9, 32 leave 1e-7."""
REACH = 12.5
"""asinh of the contour's height: with two weights, the fewest, the integrand has fallen there to exp(-2 * 12.5)."""
MOST_STEPS = 50
"""Of Newton's method; 5 are usual, 20 the most seen."""


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
    low = float(special.betaincinv(c, n - c + 1, alpha)) if c > 0 else 0.0
    high = float(special.betainccinv(c + 1, n - c, alpha)) if c < n else 1.0
    return Interval(c / n, low, high)


def pooled_upper(c: int, n: int, alpha: float) -> float:
    """U: one-sided upper limit of the mean success over tasks, from *c* hits in *n* attempts (1 when n = 0)."""
    return clopper_pearson(c, n, alpha).high if n else 1.0


# ---------------------------------------------------------------------------------------- mean under Dirichlet weights

# P(q) = P(sum_i w_i z_i <= q), w uniform on the simplex of n weights. With unit exponentials E_i it is
# P(sum E_i (z_i - q) <= 0), an inverse Laplace integral: 1/(2 pi i) int prod (1 - (z_i - q) s)^-1 ds / (-s), upwards
# between 0 and the poles of z_i < q, crossing the axis at some s = -x. With s = x (d - 1) a factor is
# (1 + (z_i - q) x) (1 - g_i d), and the pole at 0 is one more of them, with g = 1. With x = v / (1 + q v),
# g_i = 1 - (1 + q v) / (1 + z_i v) for any tilt v > 0: no end to watch.


class _Tail(NamedTuple):
    """P(q) with its first two derivatives in q, and the curvature of the log integrand at the crossing."""

    p: float
    slope: float
    bend: float
    curvature: float


def _grid() -> tuple[FloatArray, FloatArray]:
    """(J,) heights y = sinh(3 sinh t) of the contour's upper half, t evenly spaced, with trapezoid weights.

    Close at the crossing, and far enough for two weights as for ten thousand (after Takahasi and Mori 1974).
    """
    t = np.linspace(0.0, math.asinh(REACH / 3), NODES)
    u = 3 * np.sinh(t)
    weight = 3 * np.cosh(t) * np.cosh(u) * (t[1] / math.pi)
    weight[0] /= 2
    return np.sinh(u), weight


_Y, _WEIGHT = _grid()


def _path(h: FloatArray, m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Real parts (J,) of the contour at heights y, and their slope in y: where prod (1 - h d)^-m falls fastest.

    At d = i y its steepest descent leaves the vertical by T = y sum m h^3 D / sum m h^2 D, D = 1 / (1 + (h y)^2), if
    sum m h = 0. Followed as y T / sqrt(4 + T^2): smooth, and within 45 degrees of the vertical at every height.
    """
    h2, y2 = h * h, _Y * _Y
    damp = 1 / (1 + np.multiply.outer(y2, h2))
    even = m * h2
    odd = even * h
    second, third = damp @ even, damp @ odd
    damp *= damp
    fourth, fifth = damp @ (even * h2), damp @ (odd * h2)
    ratio = third / second
    turn, root = _Y * ratio, np.sqrt(4 + y2 * ratio * ratio)
    change = ratio - 2 * y2 * (fifth - ratio * fourth) / second
    return _Y * turn / root, turn / root + 4 * _Y * change / root**3


def _tail(z: FloatArray, counts: FloatArray, q: float, v: float) -> _Tail:
    """P(q) by the trapezoid rule along the steepest descent from -x, for 0 = z[0] < q < z[-1] and v near the saddle's.

    Nothing cancels and the rule converges geometrically: tails of 1e-12 keep their relative accuracy. On a straight
    line the factors of many like tasks, together nearly an exponential, would turn without falling (thousands of full
    successes then cost .02 of log P). Compare Weideman and Trefethen (2007), Math. Comp. 76, 1341.
    """
    n, r = float(counts.sum()), 1 + q * v
    f = 1 / (1 + z * v)
    height = n * math.log(r) + float(counts @ np.log(f))
    g, m = np.append(1 - r * f, 1.0), np.append(counts, 1.0)
    curvature = float(m @ (g * g))
    width = 1 / math.sqrt(curvature)
    h = g * width
    out, slope = _path(h, m)
    real, imag = 1 - np.multiply.outer(out, h), np.multiply.outer(_Y, h)
    size, angle = np.log(real * real + imag * imag) @ m, np.arctan2(imag, real) @ m
    mass = np.exp(height - size / 2 + 1j * angle) * (width * _WEIGHT * (1 - 1j * slope))
    # P(q + e) = sum mass (1 - e s)^(n - 1) for small e (substitute s / (1 - e s) for s): its derivatives at e = 0.
    s = (width * (out + 1j * _Y) - 1) * (v / r)
    first = mass * s
    rise, bend = float(first.real.sum()), float((first * s).real.sum())
    return _Tail(float(mass.real.sum()), (1 - n) * rise, (n - 1) * (n - 2) * bend, curvature)


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

    Relative error below 1e-9 for 2 to 10,000 weights and tails from 1e-12 to .5.
    """
    least = float(values.min())
    if q >= values.max():
        return 1.0
    if q <= least:
        return 0.0
    z, above, n = values - least, q - least, float(counts.sum())
    # At a saddle q v = (n + 1) / sum counts f - 1, and sum counts f lies between the count of z = 0 and n.
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
    unit = np.sort(np.append(np.maximum(values - low, 0.0) / scale, 0.0).round(12))
    return low + scale * _quantile(unit.tobytes(), alpha)


@lru_cache(maxsize=4096)
def _quantile(unit: bytes, alpha: float) -> float:
    """The q with P(q) = *alpha*, for sorted values from 0 to 1. Cached: a verdict asks for most limits many times.

    Newton's method on log P, from Laplace's approximation; two contours as a rule. The density of the mean is a
    B-spline (Curry and Schoenberg 1966, J. Analyse Math. 17, 71), so P is log-concave and Newton converges from
    anywhere. With Halley's term a step from within 1e-3 ends within 1e-8 of log alpha.
    """
    z, counts = np.unique(np.frombuffer(unit), return_counts=True)
    weight, n, target = counts.astype(np.float64), float(counts.sum()), math.log(alpha)
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
    """The tilt at which Laplace's approximation is within a tenth of log *alpha*: Newton from that of a normal mean."""
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
    return Interval(mean, lower_limit(values, alpha), positive_upper(values, alpha))


def positive_upper(values: FloatArray, alpha: float) -> float:
    """The upper limit of ``positive_mean``; infinite for fewer than two values."""
    return -lower_limit(-values, alpha, -2 * float(values.max())) if values.size > 1 else math.inf


def student(values: FloatArray, alpha: float) -> Interval:
    """Student's limits of the mean of (S,) *values*, S >= 2; for training seeds (a bootstrap over 3 covers 74 %)."""
    _check_alpha(alpha)
    if values.size < 2:
        raise BadValue("values for Student's interval", values.size, "at least 2")
    mean = float(values.mean())
    half = -float(special.stdtrit(values.size - 1, alpha)) * float(values.std(ddof=1)) / math.sqrt(values.size)
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
