"""The reweighting frontier: what a closed-book policy can reach at a given divergence from the base (DESIGN 1).

Throughout ``p0`` is an array (N,) of closed-book success probabilities of the base, ``delta`` and all divergences
are in nats, and means are over tasks. Accurate for p0 from 1e-12 to 1, zeros and ones included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, wrightomega

from reachlab import FloatArray
from reachlab.errors import BadValue

LARGEST_TILT = 745.0
"""exp(-745) is the smallest positive double: tilts beyond it change nothing."""
LARGEST_LOG_K = 700.0
"""Best-of-k with k beyond exp(700) counts as infinite."""
SMALLEST_NATS = 1e-280
"""Divergences below it change no success that a double can hold."""
MOST_STEPS = 200
"""Of Newton's method with bisection; 4 are usual, 25 the most seen."""
# Gauss's rule of order 8 for int_0^1 t f(t) dt.
_NODES = (np.polynomial.legendre.leggauss(4)[0] + 1) / 2
_WEIGHTS = np.polynomial.legendre.leggauss(4)[1] / 2 * _NODES


class Point(NamedTuple):
    """A point of the curve: mean divergence in nats, mean success."""

    kl: float
    success: float


def _excess(u: FloatArray) -> FloatArray:
    """(1 + u) log(1 + u) - u >= 0 for u >= -1, without cancellation near 0."""
    small = np.abs(u) < 1e-3
    v = np.where(small, u, 0.0)
    series = v * v * (0.5 - v * (1 / 6 - v * (1 / 12 - v * (0.05 - v / 30))))
    w = np.where(small, 1.0, np.maximum(u, -1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.where(w > -1, (1 + w) * np.log1p(w), 0.0) - w
    return np.where(small, series, exact)


def kl(p: npt.ArrayLike, q: npt.ArrayLike) -> FloatArray:
    """Binary relative entropy kl(p, q) in nats, elementwise; infinite where p > 0 = q or p < 1 = q.

    Written as q h(p/q - 1) + (1-q) h((1-p)/(1-q) - 1) with h(u) = (1+u) log(1+u) - u: two terms that are never
    negative, so nothing cancels when p is close to q.
    """
    p_, q_ = np.broadcast_arrays(np.asarray(p, float), np.asarray(q, float))
    if np.any((p_ < 0) | (p_ > 1) | (q_ < 0) | (q_ > 1)):
        raise BadValue("probabilities of kl", (p, q), "0 to 1")
    with np.errstate(divide="ignore", invalid="ignore"):
        success = np.where(q_ > 0, q_ * _excess((p_ - q_) / q_), np.where(p_ > 0, np.inf, 0.0))
        failure = np.where(q_ < 1, (1 - q_) * _excess((q_ - p_) / (1 - q_)), np.where(p_ < 1, np.inf, 0.0))
    out: FloatArray = success + failure
    return out


def tilt(p0: FloatArray, lam: float) -> FloatArray:
    """Success under pi ∝ pi0 exp(lam * reward): sigmoid(logit p0 + lam) (DESIGN 1, plain tilted reweighting)."""
    with np.errstate(divide="ignore"):
        out: FloatArray = expit(logit(p0) + lam)
    return out


def tilt_kl(p0: FloatArray, lam: float) -> FloatArray:
    """Divergence (N,) of that tilt; 0 where p0 is 0 or 1, where no tilt changes anything."""
    inside = (p0 > 0) & (p0 < 1)
    out: FloatArray = np.where(inside, _tilt_nats(logit(np.where(inside, p0, 0.5)), lam), 0.0)
    return out


def _tilt_nats(logits: FloatArray, lam: float) -> FloatArray:
    """Divergence (M,) of that tilt for p0 of these finite *logits*: int_0^lam t s(1-s) dt, s = sigmoid(logit + t).

    Near 0 by Gauss's rule; else (b - a) sigmoid(b) - (S(b) - S(a)), S = softplus, a = logit, b = a + lam. Where a > 0
    failures are counted, with all signs reversed. So nothing cancels.
    """
    if abs(lam) < 0.1:
        at = np.add.outer(lam * _NODES, logits)
        near: FloatArray = lam * lam * (_WEIGHTS @ (expit(at) * expit(-at)))
        return near
    step = np.where(logits > 0, -lam, lam)
    a = -np.abs(logits)
    b = a + step
    far: FloatArray = step * expit(b) - (np.logaddexp(0.0, b) - np.logaddexp(0.0, a))
    return far


def _check(p0: FloatArray) -> FloatArray:
    out = np.asarray(p0, dtype=np.float64)
    if out.ndim != 1 or out.size == 0 or not bool(np.all((out >= 0) & (out <= 1))):
        raise BadValue("p0", p0, "a non-empty vector of probabilities")
    return out


class _Base(NamedTuple):
    """p0 by its distinct values, of which a study has few: what every mean over tasks here is taken from."""

    logits: FloatArray
    """(M,) of the values inside (0, 1), ascending."""
    weights: FloatArray
    """(M,) their shares of the tasks."""
    ones: float
    """Share of the tasks with p0 = 1."""
    share: float
    """Share of the tasks with p0 > 0: the most that any tilt reaches."""

    def success(self, lam: float) -> float:
        return self.ones + float(self.weights @ expit(self.logits + lam))

    def nats(self, lam: float) -> float:
        return float(self.weights @ _tilt_nats(self.logits, lam))

    def most_nats(self) -> float:
        return float(self.weights @ np.logaddexp(0.0, -self.logits))


def _base(p0: FloatArray) -> _Base:
    values, counts = np.unique(_check(p0), return_counts=True)
    inside, weights = (values > 0) & (values < 1), counts / p0.size
    ones, share = (float(counts[which].sum() / p0.size) for which in (values == 1, values > 0))
    return _Base(logit(values[inside]), weights[inside], ones, share)


def _solve(rise: Callable[[float], tuple[float, float]], low: float, high: float) -> float:
    """The root in [low, high] of an increasing function given as (value, derivative), to 1e-10: Newton's from low.

    A step that leaves the bracket is replaced by its middle. Few are needed, since the functions passed here are
    logarithms that one task alone would make straight or nearly so.
    """
    x = low
    for _ in range(MOST_STEPS):
        value, slope = rise(x)
        low, high = (x, high) if value < 0 else (low, x)
        step = -value / slope if slope > 0 else math.inf
        if abs(step) < 1e-10:
            return x + step
        if high - low < 1e-10:
            return x
        x = x + step if low < x + step < high else (low + high) / 2
    return x


def _tilt_to(base: _Base, p: float) -> float:
    """The lam > 0 with mean success *p*, between mean p0 and the share.

    The log-odds of success within the share rise with slope at most 1 (s(1-s) is concave in s) and stay above those
    of the hardest task: an end each.
    """
    target = math.log(p / (base.share - p))

    def rise(lam: float) -> tuple[float, float]:
        s = expit(base.logits + lam)
        won = base.ones + float(base.weights @ s)
        left = float(base.weights @ expit(-lam - base.logits))
        return math.log(won / left) - target, float(base.weights @ (s * (1 - s))) * base.share / (won * left)

    low = max(0.0, -rise(0.0)[0])
    return min(_solve(rise, low, max(low, target - float(base.logits[0]))), LARGEST_TILT)


def _tilt_at(base: _Base, delta: float) -> float:
    """The lam > 0 with mean divergence K(lam) = *delta*, below the most.

    log(K / (most - K)) is solved against lam + log lam, undone by Wright's omega: slope 2 near 0, 1 far out. With
    b = logit + lam, most - K is the mean of s S(-b) + (1-s) (S(b) - logit), S = softplus. K <= lam^2 / 8 gives an end.
    """
    most = base.most_nats()
    target = math.log(delta / (most - delta))

    def rise(x: float) -> tuple[float, float]:
        lam = float(wrightomega(x))
        b = base.logits + lam
        s, f = expit(b), expit(-b)
        left = float(base.weights @ (s * np.logaddexp(0.0, -b) + f * (np.logaddexp(0.0, b) - base.logits)))
        nats = base.nats(lam)
        slope = lam * lam / (1 + lam) * float(base.weights @ (s * f)) * most / (nats * left)
        return math.log(nats / left) - target, slope

    least = math.sqrt(8 * delta)
    low, high = least + math.log(least), LARGEST_TILT + math.log(LARGEST_TILT)
    return float(wrightomega(_solve(rise, low, max(low, high))))


def most_nats(p0: FloatArray) -> float:
    """Mean divergence at which every task with p0 > 0 is solved: mean -log p0 over those, 0 at the others."""
    positive = p0[p0 > 0]
    return float(-np.log(positive).sum() / p0.size)


def tilt_to(p0: FloatArray, p: float) -> float:
    """The tilt lam in [0, LARGEST_TILT] at which mean success is *p*, or the end nearer to it."""
    base = _base(p0)
    if p <= float(p0.mean()):
        return 0.0
    return LARGEST_TILT if p >= base.share else _tilt_to(base, p)


def frontier_success(p0: FloatArray, delta: float) -> float:
    """R(delta): the largest mean success of any closed-book policy with mean divergence <= delta (DESIGN 1).

    At each task kl(p(x), p0(x)) <= KL by data processing; the Lagrangian of the rest has one multiplier, so the
    optimum is one tilt common to all tasks. R is increasing and concave from mean p0 to the share of p0 > 0.
    """
    base = _base(p0)
    if not delta >= 0:
        raise BadValue("delta", delta, "nats >= 0")
    if delta >= base.most_nats():
        return base.share
    return base.success(_tilt_at(base, delta)) if delta > SMALLEST_NATS else float(p0.mean())


def required_nats(p0: FloatArray, p: float) -> float:
    """D(p), the inverse of R: nats that any closed-book policy must spend for mean success *p*.

    0 up to mean p0, infinite above the share of tasks with p0 > 0.
    """
    base = _base(p0)
    if not 0 <= p <= 1:
        raise BadValue("mean success", p, "0 to 1")
    if p <= float(p0.mean()):
        return 0.0
    if p > base.share * (1 + 1e-15):
        return math.inf
    return base.most_nats() if p >= base.share else base.nats(_tilt_to(base, p))


def curve(p0: FloatArray, points: int = 65) -> list[Point]:
    """R from mean p0 to 99.9 % of its height, at tilts evenly spaced in lam: what the picture draws."""
    base = _base(p0)
    lams = np.linspace(0.0, tilt_to(p0, 0.999 * base.share), points)
    return [Point(base.nats(lam), base.success(lam)) for lam in lams.tolist()]


# ---------------------------------------------------------------------------------------------------------- best-of-k


def best_of(p0: FloatArray, k: float) -> FloatArray:
    """Success (N,) of the best of k >= 0 independent attempts: 1 - (1-p0)^k."""
    with np.errstate(divide="ignore"):
        out: FloatArray = -np.expm1(k * np.log1p(-np.asarray(p0, float))) if k else np.zeros_like(p0, dtype=float)
    return out


def best_of_kl(p0: FloatArray, k: float) -> FloatArray:
    """Divergence (N,) of best-of-k from the base: exactly kl(p_k, p0), since ties are broken blindly."""
    return kl(best_of(p0, k), p0)


def best_of_bound(k: float) -> float:
    """Log k - (k-1)/k nats, which best-of-k never exceeds (arXiv 2401.01879); k >= 1."""
    if not k >= 1:
        raise BadValue("k", k, "at least 1")
    return math.log(k) - (k - 1) / k


def equivalent_k(p0: FloatArray, p: float) -> float:
    """The (real) k at which best-of-k of the closed base has mean success *p*; infinite from share(p0 > 0) on.

    With H = -log(unsolved part of that share), which for one task is -k log(1-p0), log H is solved against log k: its
    slope is at most 1 (a mixture's hazard falls), and k is between H over the mean and H over the least -log(1-p0).
    """
    base = _base(p0)
    if p <= 0 or (p <= base.ones and p < base.share):
        return 0.0
    if p >= base.share:
        return 1.0 if base.logits.size == 0 and p == base.ones else math.inf
    hazards = np.logaddexp(0.0, base.logits)
    target = math.log(-math.log1p(-p / base.share))

    def rise(log_k: float) -> tuple[float, float]:
        k = math.exp(log_k)
        unsolved = base.weights * np.exp(-k * hazards)
        left, won = float(unsolved.sum()), base.ones - float(base.weights @ np.expm1(-k * hazards))
        if left <= 0:
            return math.inf, 0.0
        total = -math.log1p(-won / base.share) if won < left else -math.log(left / base.share)
        return math.log(total) - target, k * float(unsolved @ hazards) / (left * total)

    low = -LARGEST_LOG_K if base.ones else target - math.log(hazards @ base.weights / base.share)
    if rise(LARGEST_LOG_K)[0] <= 0:
        return math.inf
    high = min(target - math.log(hazards[0]), LARGEST_LOG_K)
    return math.exp(_solve(rise, low, max(low, high)))


# -------------------------------------------------------------------------------------------------------- free energy


def free_energy(success: float, spent: float, beta: float) -> float:
    """F_beta = E[energy] + beta KL with energy = -reward (arXiv 2605.08368): beta * spent - success."""
    return beta * spent - success


def least_free_energy(p0: FloatArray, beta: float) -> float:
    """F* = -beta mean log E_pi0 exp(reward/beta), reached by the tilt lam = 1/beta; beta > 0."""
    if not beta > 0:
        raise BadValue("beta", beta, "above 0")
    with np.errstate(divide="ignore"):
        value = np.logaddexp(np.log1p(-p0), np.log(p0) + 1 / beta)
    return float(-beta * value.mean())


def frontier_gap(p0: FloatArray, success: float, spent: float) -> float:
    """R(spent) - p: how much of the possible reweighting training left unused; >= 0 for every closed policy."""
    return frontier_success(p0, spent) - success
