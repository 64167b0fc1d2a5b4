"""Support flow: which tasks an arm gains and loses against the base, and how much of that is resampling alone.

A task is in the empirical support of a policy if more than a share eps of its attempts succeed (eps = 0: at least one
does). Preserved: in both supports; expanded: in the arm's only; shrunk: in the base's only; out: in neither. Wu et al.
2025, arXiv 2507.14843, definitions 3.2 and 3.3, count completions that way; here the unit is the task, as in Lin and
Xu 2025, arXiv 2508.19201, figure 3.

Two runs of one policy also expand and shrink: at a task that a run of k attempts misses with probability q^k, a second
run gains it with q^k (1 - q^k). What is left after that placebo is flow. Three corrections, by what is known:
``corrected_by_rerun`` (a second base run), ``corrected_at`` (one base run of at least 2k attempts), ``net_flow``
(published totals). Every ``alpha`` is one-sided; counts are pairs (n, c) of (N,) attempts and successes.

Not covered: whether gained tasks are new in kind (``axes``), training seeds (pass each run by itself).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reachlab import FloatArray, IntArray
from reachlab.errors import BadValue
from reachlab.measure.estimators import pass_at_k
from reachlab.measure.intervals import Interval, _check_alpha, bounded_mean, clopper_pearson
from reachlab.measure.records import Mask
from reachlab.measure.significance import Alternative, mcnemar

Counts = tuple[IntArray, IntArray]
"""(N,) attempts and (N,) successes of one run."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Numbers of tasks by membership in the two supports, and the support dynamics metrics (definition 3.3).

    The intervals are for tasks drawn like these, at these numbers of attempts. A metric whose denominator is 0 is NaN
    within its whole range.
    """

    preserved: int
    expanded: int
    shrunk: int
    out: int

    def __post_init__(self) -> None:
        if min(self.preserved, self.expanded, self.shrunk, self.out) < 0:
            raise BadValue("numbers of tasks", (self.preserved, self.expanded, self.shrunk, self.out), "at least 0")

    @property
    def tasks(self) -> int:
        return self.preserved + self.expanded + self.shrunk + self.out

    def srr(self, alpha: float) -> Interval:
        """Support retention rate P / (P + S), Clopper-Pearson."""
        return _share(self.preserved, self.preserved + self.shrunk, alpha)

    def ndr(self, alpha: float) -> Interval:
        """Net discovery rate E / (P + E), Clopper-Pearson."""
        return _share(self.expanded, self.preserved + self.expanded, alpha)

    def sds(self, alpha: float) -> Interval:
        """Support dynamic score, the harmonic mean of SRR and NDR: it rises with both, each gets alpha / 2."""
        _check_alpha(alpha)
        retained, found = self.srr(alpha / 2), self.ndr(alpha / 2)
        value = _harmonic(retained.value, found.value)
        if math.isnan(value):
            return Interval(value, 0.0, 1.0)
        return Interval(value, _harmonic(retained.low, found.low), _harmonic(retained.high, found.high))

    def nscr(self, alpha: float) -> Interval:
        """Net support change rate (E - S) / (P + E + S), given the number of tasks in either support."""
        return net_flow(self.expanded, self.shrunk, self.preserved + self.expanded + self.shrunk, alpha)

    def net(self, alpha: float) -> Interval:
        """Net flow (E - S) / N over all tasks; see ``net_flow``."""
        return net_flow(self.expanded, self.shrunk, self.tasks, alpha)

    def p_value(self, alternative: Alternative = "two-sided") -> float:
        """Exact McNemar p of no flow beyond resampling: the placebo expands and shrinks alike."""
        return mcnemar(self.expanded, self.shrunk, alternative)


def support_flow(base: Counts, arm: Counts, eps: float = 0.0) -> Flow:
    """The flow from *base* to *arm*: (n, c) pairs over the same N tasks; 0 <= eps < 1, membership is c/n > eps.

    Attempts must be equal at each task and at least 1: with more attempts an arm reaches more by sampling alone. For
    unlike numbers compare at a common k (``corrected_at``).
    """
    before, after = _members(eps, base, arm)
    return Flow(
        preserved=int(np.sum(before & after)),
        expanded=int(np.sum(~before & after)),
        shrunk=int(np.sum(before & ~after)),
        out=int(np.sum(~before & ~after)),
    )


def flow_sweep(base: Counts, arm: Counts, epsilons: Sequence[float]) -> dict[float, Flow]:
    """``support_flow`` at each threshold: a flow that rests on single hits is gone at the next eps."""
    return {eps: support_flow(base, arm, eps) for eps in epsilons}


def net_flow(expanded: int, shrunk: int, tasks: int, alpha: float) -> Interval:
    """(E - S) / tasks with limits, from published totals: the mean of *tasks* values in {-1, 0, 1}.

    Placebo correction of totals: two runs of one policy with equal attempts are exchangeable, so each task expands as
    often as it shrinks and E - S has expectation exactly 0, whatever E and S are by themselves. Test: ``mcnemar``.
    """
    if min(expanded, shrunk) < 0 or expanded + shrunk > tasks:
        raise BadValue("expanded, shrunk, tasks", (expanded, shrunk, tasks), "0 <= expanded + shrunk <= tasks")
    values = np.repeat([1.0, 0.0, -1.0], [expanded, tasks - expanded - shrunk, shrunk])
    return bounded_mean(values, alpha, -1.0, 1.0)


# ------------------------------------------------------------------------------------------------- placebo correction


@dataclass(frozen=True, slots=True)
class PlaceboCorrected:
    """Shares of all tasks expanded and shrunk by the arm beyond what resampling the base does; 0 without an effect."""

    expanded: Interval
    shrunk: Interval


def corrected_by_rerun(base: Counts, rerun: Counts, arm: Counts, alpha: float, eps: float = 0.0) -> PlaceboCorrected:
    """Flow from *base* to *arm* less the flow from *base* to a second base run, paired by task.

    Expanded: mean of 1{not in base} (1{in arm} - 1{in rerun}); shrunk: mean of 1{in base} (1{in rerun} - 1{in arm});
    values in {-1, 0, 1}. If the arm is the base, arm and rerun are exchangeable and both means 0. Equal attempts at
    each task, as in ``support_flow``.
    """
    before, again, after = _members(eps, base, rerun, arm)
    change = after.astype(np.float64) - again
    return PlaceboCorrected(
        expanded=bounded_mean(np.where(before, 0.0, change), alpha, -1.0, 1.0),
        shrunk=bounded_mean(np.where(before, -change, 0.0), alpha, -1.0, 1.0),
    )


def placebo_share(base: Counts, k: int, alpha: float) -> Interval:
    """Share of tasks that k fresh base attempts newly solve while k others missed, from n >= 2k attempts at each task.

    mean(pass@2k - pass@k), unbiased: P(k miss, then k hit) = P(k miss) - P(2k miss). By symmetry it is also the share
    newly lost, and a task's value lies in [0, 1/2]: a hit in one half of 2k attempts alone is as likely in the other.
    """
    return bounded_mean(_placebo(base, k), alpha, 0.0, 0.5)


def corrected_at(base: Counts, arm: Counts, k: int, alpha: float) -> PlaceboCorrected:
    """Expected flow at k attempts each less the placebo's, over tasks; n >= 2k for *base*, n >= k for *arm*, any n.

    Expanded: (1 - pass@k of the base) pass@k of the arm - (pass@2k - pass@k of the base), unbiased for
    q0^k (q0^k - q1^k) where single attempts miss with q0 and q1; shrunk: pass@k of the base (1 - pass@k of the arm)
    less the same. Per task in [-1/2, 1]; their difference is pass@k of the arm less pass@k of the base.
    """
    placebo = _placebo(base, k)
    before, after = pass_at_k(*base, k), pass_at_k(*arm, k)
    if before.shape != after.shape:
        raise BadValue("tasks of base and arm", (before.size, after.size), "the same tasks")
    return PlaceboCorrected(
        expanded=bounded_mean((1 - before) * after - placebo, alpha, -0.5, 1.0),
        shrunk=bounded_mean(before * (1 - after) - placebo, alpha, -0.5, 1.0),
    )


def _placebo(base: Counts, k: int) -> FloatArray:
    """(N,) pass@2k - pass@k, clipped to where it lies but for rounding."""
    out: FloatArray = np.clip(pass_at_k(*base, 2 * k) - pass_at_k(*base, k), 0.0, 0.5)
    return out


def _members(eps: float, *runs: Counts) -> list[Mask]:
    """(N,) membership of each task in the empirical support of each run."""
    if not 0 <= eps < 1:
        raise BadValue("eps", eps, "at least 0, below 1")
    attempts = np.asarray(runs[0][0])
    out = []
    for n, c in runs:
        if np.shape(n) != attempts.shape or np.shape(c) != attempts.shape or np.any(np.asarray(n) != attempts):
            raise BadValue("attempts of the runs", n, "as many at each task as the base; else use corrected_at")
        if np.any(attempts < 1) or np.any(np.asarray(c) < 0) or np.any(np.asarray(c) > attempts):
            raise BadValue("n, c", (n, c), "n >= 1, 0 <= c <= n")
        out.append(np.asarray(c) / attempts > eps + 1e-12)
    return out


def _share(c: int, n: int, alpha: float) -> Interval:
    return clopper_pearson(c, n, alpha) if n else Interval(math.nan, 0.0, 1.0)


def _harmonic(a: float, b: float) -> float:
    """Harmonic mean of two shares; 0 if both are 0."""
    return 2 * a * b / (a + b) if a + b != 0 else 0.0
