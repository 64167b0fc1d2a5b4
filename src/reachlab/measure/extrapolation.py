"""pass@K beyond the attempts that were made: a zero-inflated beta-binomial fit to the counts of many tasks.

**Model-based.** Up to n attempts ``pass_at_k`` is unbiased whatever the tasks are like. Beyond n, nothing in the data
excludes a share of tasks of any success probability far below 1/n. What is said here holds if, and only if,

    p = 0 with probability z, otherwise p ~ Beta(a, b);      mean pass@K = (1 - z) (1 - B(a, b + K) / B(a, b)).

These are estimates (kind ``sampled``), never a ``bound``; no verdict may rest on them. After n attempts, zeros and a
left tail below 1/n look alike, so intervals widen fast with K/n. A beta-binomial in this place: Kazdan et al. 2025,
arXiv 2510.05197. The left tail of p decides, failures fall as K^-a: Schaeffer et al. 2025, arXiv 2502.17578. Zero
inflation: Verine et al. 2026, OpenReview IGzxVhdGMb.

Not covered: goodness of fit; strata (fit each by itself).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats
from scipy.special import betaln, expit, gammaln, log_expit, logit, psi

from reachlab import FloatArray, IntArray
from reachlab.errors import BadValue
from reachlab.measure.estimators import PassPoint, _attempted
from reachlab.measure.intervals import Interval, _check_alpha

Loss = Callable[[FloatArray], tuple[float, FloatArray]]
END = 30.0
"""On the logit scale: pass@K within 1e-13 of 0 or 1 is at the end of its range."""
LOG_SIZE = (math.log(1e-3), math.log(1e6))
"""a + b; below, every task is solved always or never, above, all tasks are alike."""
BOUNDS = ((-20.0, 20.0), (-25.0, 25.0), LOG_SIZE)
"""Parameters x (3,) that the likelihood is climbed in: logit z, logit a/(a+b), log(a+b)."""


@dataclass(frozen=True, slots=True)
class ZeroInflatedFit:
    """A zero-inflated beta-binomial model of the counts of many tasks."""

    zero_share: float
    """z: share of tasks that are never solved."""
    a: float
    b: float
    """Success probabilities of the other tasks are Beta(a, b)."""
    log_likelihood: float
    """In nats, binomial coefficients included."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """Distinct pairs of attempts and successes, each (G,), and how many tasks have them."""

    n: FloatArray
    c: FloatArray
    tasks: FloatArray
    log_choose: FloatArray

    def loss(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Minus the log-likelihood at *x* and its gradient (3,)."""
        a, b = _beta(x[1], x[2])
        failed, common = self.n - self.c, psi(a + b) - psi(a + b + self.n)
        beta = log_expit(-x[0]) + self.log_choose + betaln(a + self.c, b + failed) - betaln(a, b)
        point = np.where(self.c == 0, log_expit(x[0]), -np.inf)
        each = np.logaddexp(point, beta)
        zero = np.exp(point - each)  # probability, given its count, that the task is one of the zeros
        other = self.tasks * (1 - zero)
        by_a = a * float(other @ (psi(a + self.c) - psi(a) + common))
        by_b = b * float(other @ (psi(b + failed) - psi(b) + common))
        by_z = float(self.tasks @ (zero - expit(x[0])))
        return -float(self.tasks @ each), -np.array([by_z, *_chain(x[1], by_a, by_b)])


def fit_zero_inflated(n: IntArray, c: IntArray) -> ZeroInflatedFit:
    """Maximum likelihood of (z, a, b) from (N,) attempts *n* and successes *c*; n may differ between tasks.

    Tasks with equal counts are one term: the cost grows with distinct pairs, not with tasks. Exact gradients, four
    starts. Tasks without attempts are left out; without any success the fit is z = 1. At n = 1 only the mean is
    identified. Raises ``BadValue`` unless 0 <= c <= n and some task has attempts.
    """
    counts = _group(n, c)
    tasks, failed = float(counts.tasks.sum()), float(counts.tasks[counts.c == 0].sum())
    if failed == tasks:
        return ZeroInflatedFit(1.0, 1.0, 1.0, 0.0)
    mean, starts = float(counts.tasks @ counts.c) / float(counts.tasks @ counts.n), []
    for part, size in ((0.02, 1.0), (0.5, 2.0), (0.95, 10.0), (0.02, 0.1)):
        z = max(part * failed / tasks, 1e-6)
        starts.append(np.array([logit(z), logit(min(mean / (1 - z), 1 - 1e-6)), math.log(size)]))
    x, loss = _minimise(counts.loss, starts, BOUNDS)
    return ZeroInflatedFit(float(expit(x[0])), *_beta(x[1], x[2]), -loss)


def predicted_pass(fit: ZeroInflatedFit, k: npt.ArrayLike) -> FloatArray:
    """Mean pass@K over tasks under the fit, (1 - z)(1 - B(a, b+K)/B(a, b)), for each K >= 1 of *k*, also K >> n."""
    many = np.asarray(k, dtype=np.float64)
    if not np.all((many >= 1) & np.isfinite(many)):
        raise BadValue("K of pass@K", k, "at least 1")
    out: FloatArray = -(1 - fit.zero_share) * np.expm1(_log_failure(fit.a, fit.b, many))
    return out


def extrapolate(n: IntArray, c: IntArray, ks: Sequence[int], alpha: float) -> list[PassPoint]:
    """Mean pass@K for each K of *ks* with profile-likelihood limits, each of one-sided error *alpha* in the model.

    A limit is where the log-likelihood, maximised over everything but pass@K, has fallen by half the 1 - 2 alpha
    quantile of chi-square with 1 degree of freedom (Wilks 1938, Ann. Math. Stat. 9, 60). *n*, *c* (N,) as in
    ``fit_zero_inflated``. Simulated errors of lower and upper limit at .025 (300 replicates each, +- .009):

        population                                   K = n         K = 8 n       K = 100 n
        200 tasks, n = 16, z = .3, Beta(.5, 2)       .033, .033    .013, .037    .017, .030
        100 tasks, n = 16, z = .5, Beta(.4, 6)       .040, .020    .007, .027    .000, .030
        300 tasks, n = 16, z = 0, Beta(.3, 5)        .027, .020    .003, .050    .000, .067
        200 tasks, n = 64, z = .5, Beta(.3, 10)      .023, .023    .010, .027    .000, .027
        1,000 tasks, n = 16, z = .5, Beta(.3, 10)    .023, .013    .003, .040    .000, .043

    The percentile bootstrap over tasks missed upwards by up to .13 at 8 n and .17 at 100 n there (120 replicates).
    """
    _check_alpha(alpha)
    counts, fit = _group(n, c), fit_zero_inflated(n, c)
    allowed = -fit.log_likelihood + float(stats.chi2.isf(2 * alpha, 1)) / 2
    start, points = np.array([1.0, math.log(fit.a + fit.b)]), []
    for k, value in zip(ks, predicted_pass(fit, ks).tolist(), strict=True):
        low, high = (_limit(counts, k, value, side, allowed, start) for side in (-1, 1))
        points.append(PassPoint(k, Interval(value, low, high)))
    return points


def _group(n: IntArray, c: IntArray) -> _Counts:
    attempts, hits = _attempted(n, c)
    if attempts.size == 0:
        raise BadValue("n", n, "at least one task with attempts")
    width = int(attempts.max()) + 1
    pairs, tasks = np.unique(attempts * width + hits, return_counts=True)
    m, k = (part.astype(np.float64) for part in np.divmod(pairs, width))
    return _Counts(m, k, tasks.astype(np.float64), gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1))


def _limit(counts: _Counts, k: float, value: float, side: int, allowed: float, nuisance: FloatArray) -> float:
    """Where the profile loss of pass@K first exceeds *allowed*, walking from the estimate to *side* (-1 or 1)."""
    outer, found, step, loss = float(np.clip(logit(value), -END, END)), nuisance, 0.3, -math.inf
    while loss <= allowed:
        inner, nuisance, outer, step = outer, found, outer + side * step, 1.6 * step
        if abs(outer) > END:
            return 0.0 if side < 0 else 1.0
        found, loss = _profile(counts, outer, k, [nuisance, np.array([1.0, 2.0])])
    for _ in range(10):
        middle = (inner + outer) / 2
        found, loss = _profile(counts, middle, k, [nuisance])
        inner, outer, nuisance = (middle, outer, found) if loss <= allowed else (inner, middle, nuisance)
    return float(expit(outer))


def _profile(counts: _Counts, level: float, k: float, starts: list[FloatArray]) -> tuple[FloatArray, float]:
    """Least loss with logit pass@K held at *level*, over v = (logit mean above its least value, log(a+b)).

    The mean a/(a+b) is least at z = 0. Elsewhere z = (R - F)/(1 - F), R = 1 - pass@K, F the failures under Beta(a, b).
    """
    log_rest = float(log_expit(-level))

    def loss(v: FloatArray) -> tuple[float, FloatArray]:
        least = _logit_mean(log_rest, v[1], k)
        _, by_least, by_size = _failure(least, v[1], k)
        moved = -by_size / by_least  # of the least mean with log(a+b)
        failure, by_mean, by_size = _failure(least + v[0], v[1], k)  # d logit z = -d failure / margin
        margin = max(math.exp(log_rest) - failure, 1e-9 * math.exp(log_rest))
        x = np.array([math.log(margin) - log_expit(level), least + v[0], v[1]])
        value, slope = counts.loss(x)
        first = slope[1] - slope[0] * by_mean / margin
        return value, np.array([first, slope[2] - slope[0] * by_size / margin + first * moved])

    return _minimise(loss, starts, ((0.0, END), LOG_SIZE))


def _minimise(loss: Loss, starts: list[FloatArray], bounds: Sequence[tuple[float, float]]) -> tuple[FloatArray, float]:
    options = {"maxfun": 1000, "ftol": 1e-11, "xtol": 1e-9}  # L-BFGS-B waits for BLAS threads, ten times as long
    runs = [optimize.minimize(loss, x, jac=True, method="TNC", bounds=bounds, options=options) for x in starts]
    best = min(runs, key=lambda run: float(run.fun))
    return best.x, float(best.fun)


def _logit_mean(log_failure: float, log_size: float, k: float) -> float:
    """The logit of a/(a+b) at which the failures of K attempts are as given, or the end of its range."""

    def gap(u: float) -> float:
        return float(_log_failure(*_beta(u, log_size), k)) - log_failure

    if gap(-END) <= 0 or gap(END) >= 0:
        return -END if gap(-END) <= 0 else END
    return float(optimize.brentq(gap, -END, END, xtol=1e-10))


def _log_failure(a: float, b: float, k: npt.ArrayLike) -> FloatArray:
    """Logarithm of B(a, b+K)/B(a, b): the probability that K attempts at a task with p ~ Beta(a, b) all fail."""
    out: FloatArray = betaln(a, np.add(b, k)) - betaln(a, b)
    return out


def _failure(u: float, log_size: float, k: float) -> tuple[float, float, float]:
    """That probability, and its derivatives in the logit mean and in log(a+b)."""
    a, b = _beta(u, log_size)
    value, common = math.exp(_log_failure(a, b, k)), float(psi(a + b) - psi(a + b + k))
    return value, *_chain(u, value * a * common, value * b * (float(psi(b + k) - psi(b)) + common))


def _beta(u: float, log_size: float) -> tuple[float, float]:
    """Beta parameters a and b, with mean expit(u) and sum exp(log_size)."""
    return math.exp(log_size) * float(expit(u)), math.exp(log_size) * float(expit(-u))


def _chain(u: float, by_log_a: float, by_log_b: float) -> tuple[float, float]:
    """Derivatives in the logit mean and in log(a+b) from those in log a and log b."""
    return by_log_a * float(expit(-u)) - by_log_b * float(expit(u)), by_log_a + by_log_b
