"""Limits of required nats, surplus and equivalent k for a *population* of tasks, from exact p0 of the tasks drawn.

D depends on p0 as much as on success, and other tasks would have had other p0: an interval that takes the drawn p0
for the population's misses several times as often as it says where hard tasks are unlike. By convex duality D is a
supremum of means over tasks (Legendre transform of the mean log-partition function; Donsker and Varadhan 1975):

    D(p) = sup_lam mean_i [ lam p_i - log(1 - p0_i + p0_i e^lam) ]

so a lower limit of the mean in brackets, at any lam, is a lower limit of D, and surplus is one paired mean with one
error. Shapes: S training runs, N tasks; ``rates`` and ``paid`` are (S or 1, N) with NaN where nothing was scored.
Not covered: p0 that is sampled or bounded (``reach``), where D >= kl(p, U) is used.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize

from reachlab import FloatArray
from reachlab.measure import frontier as f
from reachlab.measure.intervals import Interval, bounded_mean, lower_limit, positive_mean, with_seeds

LEAST_GAP = 1e-3
"""Relative accuracy to which limits of equivalent k are solved."""
LARGEST_LOG_K = 700.0
"""exp of more overflows soon."""


def log_partition(p0: FloatArray, lam: float) -> FloatArray:
    """The logarithm of E_pi0 exp(lam * reward) = log(1 - p0 + p0 e^lam) at each task (N,)."""
    if lam < LARGEST_LOG_K:  # exactly 0 at lam = 0
        out: FloatArray = np.log1p(p0 * np.expm1(lam))
        return out
    with np.errstate(divide="ignore"):
        return np.logaddexp(np.log1p(-p0), np.log(p0) + lam)


def required_limits(p0: FloatArray, rates: FloatArray, alpha: float, top: float = 1.0) -> Interval:
    """D of mean success, each side with one-sided error *alpha*; *top* bounds the population's p0 (t on hard tasks).

    Low: the dual at the tilt of success's own lower limit. High: that of success and that of the log-partition, as
    root sum of squares.
    """
    p0, rates = _scored(p0, rates)
    if p0.size == 0:
        return Interval(math.nan, 0.0, math.inf)
    p = _mean(rates, alpha)
    value = f.required_nats(p0, p.value)
    low = max(0.0, _dual_low(p0, rates, np.zeros_like(rates), p.low, alpha, top))
    over, weights = f.required_nats(p0, p.high) - value, log_partition(p0, f.tilt_to(p0, p.high))
    return Interval(value, min(low, value), value + math.hypot(over, weights.mean() - lower_limit(weights, alpha)))


def surplus_limits(
    p0: FloatArray, rates: FloatArray, paid: FloatArray, alpha: float, top: float = 1.0
) -> Interval:
    """Required less paid nats, paired by task; one-sided error *alpha* on each side."""
    rows = min((v.shape[0] for v in (rates, paid) if v.shape[0] > 1), default=1)
    p0, both = _scored(p0, np.concatenate([np.broadcast_to(v[:rows], (rows, p0.size)) for v in (rates, paid)]))
    if p0.size == 0:
        return Interval(math.nan, -math.inf, math.inf)
    rates, paid = both[:rows], both[rows:]
    need, cost = required_limits(p0, rates, alpha, top), positive_mean(paid.mean(axis=0), alpha)
    value = need.value - cost.value
    low = _dual_low(p0, rates, paid, _mean(rates, alpha).low, alpha, top)
    return Interval(value, min(low, value), value + math.hypot(need.high - need.value, cost.value - cost.low))


def above_best_of(p0: FloatArray, rates: FloatArray, k: float, alpha: float, top: float = 1.0) -> Interval:
    """Success less that of the best of *k* closed samples, paired by task; *top* bounds the population's p0."""
    p0, rates = _scored(p0, rates)
    values, worst = _above(p0, rates, k, top)
    return with_seeds(bounded_mean(values.mean(axis=0), alpha, worst, 1.0), values.mean(axis=1), alpha)


def above_cost_matched(
    p0: FloatArray, rates: FloatArray, costs: FloatArray, alpha: float, top: float = 1.0
) -> Interval:
    """Success less best-of-k at k = mean *costs* (S, N), in closed samples and at least 1, paired by task.

    k is estimated on the same tasks, and where failures are dear it falls with success. Best-of-k is concave in k, so
    b(k) <= b(k') + b'(k') (k - k'): the lower limit is that of the mean of r - b(k') - b'(k') (cost - k').
    """
    rows = min((v.shape[0] for v in (rates, costs) if v.shape[0] > 1), default=1)
    p0, both = _scored(p0, np.concatenate([np.broadcast_to(v[:rows], (rows, p0.size)) for v in (rates, costs)]))
    if p0.size == 0:
        return Interval(math.nan, -1.0, 1.0)
    rates, costs = both[:rows], both[rows:]
    mean, most = float(costs.mean()), 2 * float(costs.max())
    k = max(1.0, mean)
    slope = _slope(p0, k) if mean > 1 else 0.0
    values, worst = _above(p0, rates, k, top)
    values, worst, best = values - slope * (costs - mean), worst - slope * (most - mean), 1 + slope * mean
    tasks = bounded_mean(values.mean(axis=0), alpha, worst, best)
    return with_seeds(tasks, values.mean(axis=1), alpha)


def equivalent_k_limits(p0: FloatArray, rates: FloatArray, alpha: float, top: float = 1.0) -> Interval:
    """The k at which best-of-k meets the arm; its limits are the k at which the paired difference stops being clear."""
    p0, rates = _scored(p0, rates)
    if p0.size == 0:
        return Interval(math.nan, 0.0, math.inf)
    value = f.equivalent_k(p0, float(rates.mean()))
    start = min(math.log(value), LARGEST_LOG_K) if value > 0 else -LARGEST_LOG_K
    low, high = (_edge(p0, rates, alpha, top, start, below) for below in (True, False))
    return Interval(value, low, high)


def _scored(p0: FloatArray, rates: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The tasks at which everything was scored."""
    kept = np.all(np.isfinite(rates), axis=0)
    return p0[kept], rates[:, kept]


def _mean(rates: FloatArray, alpha: float) -> Interval:
    tasks = bounded_mean(rates.mean(axis=0), alpha)
    return with_seeds(tasks, rates.mean(axis=1), alpha).clip()


def _dual_low(
    p0: FloatArray, rates: FloatArray, paid: FloatArray, p: float, alpha: float, top: float
) -> float:
    """Lower limit of mean [lam rates - log partition - paid] at the tilt lam that leads to mean success *p*."""
    lam = f.tilt_to(p0, p)
    values = lam * rates - log_partition(p0, lam) - paid
    tasks = values.mean(axis=0)
    worst = -float(log_partition(np.array([top]), lam)[0]) - 2 * float(paid.mean(axis=0).max())
    mean = float(tasks.mean())
    limit = lower_limit(tasks, alpha, min(worst, float(tasks.min())))
    return with_seeds(Interval(mean, limit, mean), values.mean(axis=1), alpha).low


def _edge(p0: FloatArray, rates: FloatArray, alpha: float, top: float, start: float, below: bool) -> float:
    """The k away from exp(*start*) from which on a limit of ``above_best_of`` is clear of 0; 0 or infinity if none."""

    def limit(log_k: float) -> float:
        values, worst = _above(p0, rates, math.exp(log_k), top)
        tasks = values.mean(axis=0)
        mean = float(tasks.mean())
        if below:
            return with_seeds(Interval(mean, lower_limit(tasks, alpha, worst), mean), values.mean(axis=1), alpha).low
        high = -lower_limit(-tasks, alpha, -1.0)
        return -with_seeds(Interval(mean, mean, high), values.mean(axis=1), alpha).high

    inner = outer = start
    step = _first_step(p0, -limit(start), start)
    while limit(outer) <= 0:
        inner, outer, step = outer, outer + (-step if below else step), 2 * step
        if abs(outer) > LARGEST_LOG_K:
            return 0.0 if below else math.inf
    if inner == outer:
        return math.exp(outer)
    return math.exp(float(optimize.brentq(limit, min(inner, outer), max(inner, outer), xtol=LEAST_GAP)))


def _first_step(p0: FloatArray, width: float, log_k: float) -> float:
    """Change of log k at which best-of-k moves by a little more than *width*, by its slope; between .01 and 10."""
    slope = math.exp(log_k) * _slope(p0, math.exp(log_k))
    return min(max(1.1 * width / slope, 0.01), 10.0) if slope > 0 else 0.5


def _slope(p0: FloatArray, k: float) -> float:
    """Derivative of mean best-of-k in k."""
    return float(np.mean(-np.log1p(-p0) * (1 - p0) ** k)) if np.all(p0 < 1) else 0.0


def _above(p0: FloatArray, rates: FloatArray, k: float, top: float) -> tuple[FloatArray, float]:
    """Success less best-of-k (S, N), and the least that a task of the population may have."""
    return rates - f.best_of(p0, k), -float(f.best_of(np.array([top]), k)[0])
