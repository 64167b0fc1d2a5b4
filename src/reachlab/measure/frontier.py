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
from scipy import optimize
from scipy.special import expit, logit

from reachlab import FloatArray
from reachlab.errors import BadValue

LARGEST_TILT = 745.0
"""exp(-745) is the smallest positive double: tilts beyond it change nothing."""


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
    return kl(tilt(p0, lam), p0)


def _check(p0: FloatArray) -> FloatArray:
    out = np.asarray(p0, dtype=np.float64)
    if out.ndim != 1 or out.size == 0 or not bool(np.all((out >= 0) & (out <= 1))):
        raise BadValue("p0", p0, "a non-empty vector of probabilities")
    return out


def _solve(rises: Callable[[float], float], target: float) -> float:
    """The lam in [0, LARGEST_TILT] at which the increasing function *rises* meets *target*."""
    if rises(0.0) >= target:
        return 0.0
    if rises(LARGEST_TILT) <= target:
        return LARGEST_TILT
    return float(optimize.brentq(lambda lam: rises(lam) - target, 0.0, LARGEST_TILT, xtol=1e-14, rtol=1e-14))


def most_nats(p0: FloatArray) -> float:
    """Mean divergence at which every task with p0 > 0 is solved: mean -log p0 over those, 0 at the others."""
    positive = p0[p0 > 0]
    return float(-np.log(positive).sum() / p0.size)


def frontier_success(p0: FloatArray, delta: float) -> float:
    """R(delta): the largest mean success of any closed-book policy with mean divergence <= delta (DESIGN 1).

    At each task kl(p(x), p0(x)) <= KL by data processing; the Lagrangian of the rest has one multiplier, so the
    optimum is one tilt common to all tasks. R is increasing and concave from mean p0 to the share of p0 > 0.
    """
    p0 = _check(p0)
    if not delta >= 0:
        raise BadValue("delta", delta, "nats >= 0")
    if delta >= most_nats(p0):
        return float(np.mean(p0 > 0))
    lam = _solve(lambda x: float(tilt_kl(p0, x).mean()), delta)
    return float(tilt(p0, lam).mean())


def required_nats(p0: FloatArray, p: float) -> float:
    """D(p), the inverse of R: nats that any closed-book policy must spend for mean success *p*.

    0 up to mean p0, infinite above the share of tasks with p0 > 0.
    """
    p0 = _check(p0)
    if not 0 <= p <= 1:
        raise BadValue("mean success", p, "0 to 1")
    if p <= float(p0.mean()):
        return 0.0
    share = float(np.mean(p0 > 0))
    if p > share * (1 + 1e-15):
        return math.inf
    if p >= share:
        return most_nats(p0)
    lam = _solve(lambda x: float(tilt(p0, x).mean()), p)
    return most_nats(p0) if lam == LARGEST_TILT else float(tilt_kl(p0, lam).mean())


def curve(p0: FloatArray, points: int = 65) -> list[Point]:
    """R from mean p0 to 99.9 % of its height, at tilts evenly spaced in lam: what the picture draws."""
    p0 = _check(p0)
    share = float(np.mean(p0 > 0))
    top = _solve(lambda x: float(tilt(p0, x).mean()), max(0.999 * share, float(p0.mean()))) if share else 0.0
    lams = np.linspace(0.0, top, points)
    return [Point(float(tilt_kl(p0, lam).mean()), float(tilt(p0, lam).mean())) for lam in lams.tolist()]


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
    """The (real) k at which best-of-k of the closed base has mean success *p*; infinite from share(p0 > 0) on."""
    p0 = _check(p0)
    if p <= 0:
        return 0.0
    if p >= float(np.mean(p0 > 0)):
        return 1.0 if bool(np.all((p0 == 0) | (p0 == 1))) and p == float(p0.mean()) else math.inf

    def gap(log_k: float) -> float:
        return float(best_of(p0, math.exp(log_k)).mean()) - p

    low, high = 0.0, 1.0
    while gap(low) > 0 and low > -700:
        low -= 10.0
    while gap(high) < 0 and high < 700:
        high += 10.0
    if gap(low) >= 0 or gap(high) <= 0:
        return math.exp(low) if gap(low) >= 0 else math.inf
    return math.exp(float(optimize.brentq(gap, low, high, xtol=1e-13, rtol=1e-13)))


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
