"""Success and divergence of a tilt, from the rewards of its draws: values, intervals and kinds.

All divergences are KL(pi, pi0) in nats of whole episodes, means over the episodes asked for.

===================  ===================================================================================================
p0 given             exact, for rewards of 0 and 1: kl(p_beta, p0) with p_beta = sigmoid(logit p0 + 1/beta), and
                     kl(1 - (1-p0)^n, p0) (DESIGN 1)
gibbs by rejection   sampled, for any rewards in [0, 1]: the first accepted of G draws has reward r; then
                     H(G-1) + (r - 1)/beta is unbiased, since E H(G-1) = sum_j (1-q)^j / j = -log q for a geometric G
gibbs by resampling  sampled, for rewards of 0 and 1: at each episode's rate of success. Above: the concave envelope of
best-of-n            the exact KL over p0 at the limits of mean p0. Below: kl(p, p0) of the means, by joint convexity
best-of-n, graded    bound: log n - (n-1)/n (arXiv 2401.01879)
===================  ===================================================================================================

A rate from few draws gives too little (the KL is concave where p0 is small); the intervals do not rest on it.
Intervals are about the episodes asked for, and count draws that were faults, or never accepted, both ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from reachlab import Estimate, FloatArray
from reachlab.errors import BadValue
from reachlab.measure import best_of, best_of_bound, best_of_kl, kl, tilt, tilt_kl
from reachlab.measure.intervals import Interval, bounded_mean, clopper_pearson, lower_limit, positive_mean
from reachlab.policies.tilts import BestOf, Gibbs, Rule, gibbs_weights, most_gibbs_nats

GRID = np.unique(np.concatenate([[0.0], np.logspace(-12, 0, 2401), np.linspace(0, 1, 2401)]))
"""Where the envelope is computed; what lies between is off by less than ``SLACK`` of it."""
SLACK = 1e-4


@dataclass(frozen=True, slots=True)
class Draws:
    """What was drawn for one episode of the tilt."""

    rewards: tuple[float, ...]
    """Of the draws that were no faults, in order."""
    faults: int
    kept: int | None
    """Which was kept; None if none was accepted, or all were faults."""

    @property
    def reward(self) -> float | None:
        return None if self.kept is None else self.rewards[self.kept]


def binary(drawn: list[Draws]) -> bool:
    """Whether only rewards of 0 and 1 were seen."""
    return all(reward in (0.0, 1.0) for draws in drawn for reward in draws.rewards)


def most_nats(rule: Rule) -> float:
    """What the tilt never exceeds, whatever the base."""
    return most_gibbs_nats(rule.beta) if isinstance(rule, Gibbs) else best_of_bound(rule.draws)


def success(drawn: list[Draws], rule: Rule, alpha: float) -> Estimate:
    """Mean reward under the tilt; *alpha* is one-sided."""
    if isinstance(rule, Gibbs) and rule.sampler == "resampling":
        return _resampled(drawn, rule, alpha)
    low, high = (np.array([d.reward if d.reward is not None else end for d in drawn]) for end in (0.0, 1.0))
    known = [d.reward for d in drawn if d.reward is not None]
    if not known:
        return Estimate.missing("no draw was kept")
    value, lost = float(np.mean(known)), len(drawn) - len(known)
    if binary(drawn):
        below, above = (clopper_pearson(round(v.sum()), len(v), alpha) for v in (low, high))
    else:
        below, above = (bounded_mean(v, alpha) for v in (low, high))
    reason = f"{lost} of {len(drawn)} episodes have no draw that was kept" if lost else ""
    return Interval(value, below.low, above.high).estimate("sampled", reason)


def exact_success(p0: FloatArray, rule: Rule) -> Estimate:
    """The same from the base's exact success (N,), for rewards of 0 and 1."""
    reached = tilt(p0, 1 / rule.beta) if isinstance(rule, Gibbs) else best_of(p0, rule.draws)
    return _exact(float(reached.mean()))


def divergence(drawn: list[Draws], rule: Rule, alpha: float, p0: FloatArray | None) -> Estimate:
    """Mean KL(pi, pi0) in nats; *alpha* is one-sided."""
    if p0 is not None:
        if not binary(drawn):
            raise BadValue("p0 of a tilt", "given", "None where rewards are graded: success does not fix the KL there")
        return _exact(float(_nats(rule)(p0).mean()))
    if isinstance(rule, Gibbs) and rule.sampler == "rejection":
        return _harmonic(drawn, rule, alpha)
    if binary(drawn):
        return _by_rates(drawn, rule, alpha)
    if isinstance(rule, BestOf):
        return Estimate(most_nats(rule), (0.0, most_nats(rule)), "bound", "rewards are graded")
    values = [_tilted(d, rule)[1] for d in drawn if d.rewards]
    return Estimate(float(np.mean(values)), None, "sampled", "rewards are graded: rejection would give an interval")


def _exact(value: float) -> Estimate:
    return Estimate(value, (value, value), "exact")


def _nats(rule: Rule) -> Callable[[FloatArray], FloatArray]:
    if isinstance(rule, Gibbs):
        beta = rule.beta
        return lambda p: tilt_kl(p, 1 / beta)
    n = rule.draws
    return lambda p: best_of_kl(p, n)


def _harmonic(drawn: list[Draws], rule: Gibbs, alpha: float) -> Estimate:
    """See the module's docstring. Without an acceptance in K draws H(G-1) is at least H(K), and at most
    (exp(1/beta) - 1) / (K + 1) more in the mean, since an acceptance has at least probability exp(-1/beta)."""
    low, high, lam = [], [], 1 / rule.beta
    for draws in drawn:
        count = len(draws.rewards)
        rejected = count - (draws.reward is not None)
        harmonic = float(digamma(rejected + 1) + np.euler_gamma)
        if draws.reward is not None:
            low.append(harmonic + lam * draws.reward)
            high.append(low[-1])
        else:
            low.append(harmonic)
            high.append(harmonic + lam + math.expm1(min(lam, 700.0)) / (count + 1))
    limits = positive_mean(np.array(low), alpha), positive_mean(np.array(high), alpha)
    value = min(max(limits[0].value - lam, 0.0), most_nats(rule))
    found = Interval(value, limits[0].low - lam, limits[1].high - lam).clip(0.0, most_nats(rule))
    lost = sum(d.reward is None for d in drawn)
    return found.estimate("sampled", f"{lost} of {len(drawn)} episodes have no draw that was accepted" if lost else "")


def _tilted(draws: Draws, rule: Gibbs) -> tuple[float, float]:
    """Plug-in mean reward and KL of the tilt of one episode's draws."""
    given = np.array(draws.rewards)
    weights = gibbs_weights(given, rule.beta)
    mean = float(weights @ given / weights.sum())
    return mean, (mean - float(given.max())) / rule.beta - math.log(float(weights.mean()))


def _resampled(drawn: list[Draws], rule: Gibbs, alpha: float) -> Estimate:
    """The weighted mean. It is concave in the rate of success, so it falls short in the mean: a limit below it holds
    below the tilt's; above, the tilt of the upper limit of mean p0."""
    values = np.array([_tilted(d, rule)[0] for d in drawn if d.rewards])
    if not values.size:
        return Estimate.missing("all draws were faults")
    if not binary(drawn):
        return Estimate(float(values.mean()), None, "sampled", "rewards are graded: rejection would give an interval")
    floor = np.append(values, np.zeros(len(drawn) - values.size))
    top = float(tilt(np.array([_base_limits(drawn, alpha)[1]]), 1 / rule.beta)[0])
    return Interval(float(values.mean()), lower_limit(floor, alpha), top).estimate()


def _base_limits(drawn: list[Draws], alpha: float) -> tuple[float, float]:
    """Limits of mean p0 over the episodes asked for, from as many draws at each; faults count both ways."""
    hits, faults = round(sum(sum(d.rewards) for d in drawn)), sum(d.faults for d in drawn)
    count = sum(len(d.rewards) for d in drawn) + faults
    return clopper_pearson(hits, count, alpha).low, clopper_pearson(hits + faults, count, alpha).high


def _by_rates(drawn: list[Draws], rule: Rule, alpha: float) -> Estimate:
    nats = _nats(rule)
    rates = np.array([np.mean(d.rewards) for d in drawn if d.rewards])
    if not rates.size:
        return Estimate.missing("all draws were faults")
    low, high = _base_limits(drawn, alpha / 2)
    reached = success(drawn, rule, alpha / 2).ci
    won = (reached[0] if reached else 0.0) or 0.0
    below = float(kl(won, high)) if won > high else 0.0
    above = min(envelope(nats, low, high), most_nats(rule))
    return Interval(min(max(float(nats(rates).mean()), below), above), below, above).estimate()


def envelope(f: Callable[[FloatArray], FloatArray], low: float, high: float) -> float:
    """The most that a mean of *f* can be while the mean of its arguments in [0, 1] lies in [low, high]: the maximum
    there of the least concave function above *f* (its upper hull, by Andrew's monotone chain)."""
    hull: list[tuple[float, float]] = []
    for x, y in zip(GRID.tolist(), f(GRID).tolist(), strict=True):
        while len(hull) > 1 and _turns_up(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    xs, ys = np.array(hull).T
    within = np.concatenate([[low, high], xs[(xs > low) & (xs < high)]])
    return float(np.interp(within, xs, ys).max()) * (1 + SLACK)


def _turns_up(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) >= (b[1] - a[1]) * (c[0] - a[0])
