"""Anytime-valid limits of a success probability, and the allocation of further samples to undecided tasks.

Clopper-Pearson limits hold at a number of attempts fixed beforehand. Who looks after every batch and stops when the
picture is clear errs more often than alpha. What is here holds at every number of attempts at once, so at every
stopping time, also one that depends on other tasks.

With c successes in n attempts and a mixing density pi on q > p, the e-value against "success probability <= p",

    E_n(p) = int_{q>p} (q/p)^c ((1-q)/(1-p))^(n-c) pi(q) dq / pi(q > p),

is a nonnegative supermartingale from 1 under each of those probabilities: a step multiplies it by at most 1 on
average. By Ville's inequality it ever reaches 1/alpha with probability at most alpha. pi is Jeffreys' Beta(1/2, 1/2),
so E_n is a ratio of incomplete beta functions; below p likewise. Cutting pi at p is what makes small p affordable: at
alpha = .025, t = 6.9e-4 and no success, "below t" is shown after 4.6/t attempts (fixed n: 3.7/t; the whole pi: 9/t).

* H. Robbins (1970), Ann. Math. Stat. 41, 1397-1409 (mixtures, Ville); S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon
  (2021), Ann. Stat. 49, 1055-1080, arXiv 1810.08240. As a ratio of prior to posterior: Waudby-Smith and Ramdas (2020),
  arXiv 2006.04347.

Every ``alpha`` is one-sided and for one task. Of the two wrong decisions about a task only one is possible, so it is
ever decided wrongly with probability at most alpha; over N tasks expect up to alpha N wrong decisions.

Where n depends on what was seen, c/n is biased, and with it ``pass_at_k``, ``cover_at`` and means over tasks: use the
limits and classes of this file, or fresh attempts. Not covered: means over tasks (``intervals``); drift.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import betainc, betaln, expit, log_expit, logit

from reachlab import FloatArray, IntArray
from reachlab.errors import BadValue
from reachlab.measure.frontier import kl
from reachlab.measure.intervals import _check_alpha

JEFFREYS = 0.5
"""Both parameters of the mixing density. At most 1: then E_n(p) falls in p, and the limits are the roots of it."""
HALVINGS = 64
"""Of the bracket of a limit on the logit scale, 690 wide: to double precision."""


class Access(IntEnum):
    """What is known of a task at a threshold t of its success probability."""

    INACCESSIBLE = -1
    """Below t."""
    UNDECIDED = 0
    """Not yet known."""
    ACCESSIBLE = 1
    """At least t."""


class Limits(NamedTuple):
    """Lower and upper limits, (N,) each."""

    low: FloatArray
    high: FloatArray


def log_e_value(n: IntArray, c: IntArray, t: float, side: Literal["above", "below"]) -> FloatArray:
    """(N,) logarithm of the e-value that success is *above* (or *below*) *t*, from (N,) attempts and successes.

    "above" is evidence against every probability <= t, "below" against every probability >= t (module docstring).
    0 < t < 1, 0 <= c <= n. Where c/n is far on the other side the e-value is below 1 and may underflow to -inf.
    """
    if not 0 < t < 1:
        raise BadValue("threshold t", t, "above 0, below 1")
    each, found, which = _distinct(n, c)
    if side == "above":
        return _log_e(each, found, np.full(each.shape, logit(t)))[which]
    return _log_e(each, each - found, np.full(each.shape, -logit(t)))[which]


def confidence_sequence(n: IntArray, c: IntArray, alpha: float) -> Limits:
    """Limits of the success probability of each task after (N,) attempts *n* >= 0 and successes *c*.

    The p at which the e-values above and below reach 1/alpha. At each end the true probability is ever passed, over
    the whole sequence of attempts, with probability at most *alpha*. Tasks with equal counts are computed once.
    """
    _check_alpha(alpha)
    each, found, which = _distinct(n, c)
    low = expit(_lower_logit(each, found, alpha))
    high = expit(-_lower_logit(each, each - found, alpha))
    return Limits(low[which], high[which])


def classify(n: IntArray, c: IntArray, t: float, alpha: float) -> IntArray:
    """(N,) ``Access`` of each task at threshold *t*: accessible, inaccessible or undecided.

    A task is ever called accessible although its probability is below t, or inaccessible although it is not, with
    probability at most *alpha*, whenever and however often one asks. A decision may be kept: later attempts can take
    the e-value below 1/alpha again, which does not take the guarantee away.
    """
    _check_alpha(alpha)
    bar = -np.log(alpha)
    above = log_e_value(n, c, t, "above") >= bar
    below = log_e_value(n, c, t, "below") >= bar
    out: IntArray = above.astype(np.int64) - below.astype(np.int64)
    return out


def allocate(n: IntArray, c: IntArray, t: float, budget: int, alpha: float) -> IntArray:
    """(N,) further attempts for each task in the next round: *budget* in total, none to decided tasks.

    Shortest job first, which decides the most tasks: by ``attempts_to_decide``, each undecided task in turn gets what
    it is predicted to need until the budget is spent; what is left over is spread evenly. Ties go to the earlier task.
    No randomness. With every task decided all are 0. Many small rounds beat few large ones: predictions improve.
    """
    if isinstance(budget, bool) or budget != int(budget) or budget < 0:
        raise BadValue("budget", budget, "a whole number of attempts, at least 0")
    out = np.zeros(np.shape(n), np.int64)
    open_ = np.flatnonzero(classify(n, c, t, alpha) == Access.UNDECIDED)
    if open_.size == 0:
        return out
    wanted = np.minimum(attempts_to_decide(n, c, t, alpha)[open_], budget).astype(np.int64)
    order = np.argsort(wanted, kind="stable")
    before = np.cumsum(wanted[order]) - wanted[order]
    out[open_[order]] = np.clip(budget - before, 0, wanted[order])
    each, rest = divmod(int(budget) - int(out.sum()), open_.size)
    out[open_] += each
    out[open_[order[:rest]]] += 1
    return out


def attempts_to_decide(n: IntArray, c: IntArray, t: float, alpha: float) -> FloatArray:
    """(N,) predicted further attempts until a task is decided at threshold *t*; 0 for decided ones, may be infinite.

    An attempt at success probability p adds kl(p, t) nats to the logarithm of the e-value on average, to leading
    order, and log(1/alpha) are needed. For p two estimates are tried and the shorter prediction taken: c/n, and the
    posterior mean (c + 1/2) / (n + 1). The second sends a few attempts to tasks without a success while one is still
    likely to come soon; the first sees others through to "inaccessible".
    """
    _check_alpha(alpha)
    bar = -np.log(alpha)
    above, below = log_e_value(n, c, t, "above"), log_e_value(n, c, t, "below")
    smooth = (c + JEFFREYS) / (n + 2 * JEFFREYS)
    need = np.full(above.shape, np.inf)
    for p in (np.where(n > 0, c / np.maximum(n, 1), smooth), smooth):
        with np.errstate(divide="ignore"):
            gap = np.maximum(bar - np.where(p > t, above, below), 1e-9)
            need = np.minimum(need, np.ceil(gap / kl(p, t)))
    return np.where(np.maximum(above, below) >= bar, 0.0, need)


def _log_e(n: FloatArray | IntArray, c: FloatArray | IntArray, u: FloatArray) -> FloatArray:
    """Logarithm of the e-value above p = expit(u). P(q > p) of Beta(a, b) is betainc(b, a, 1 - p)."""
    a, b, beyond = JEFFREYS + c, JEFFREYS + n - c, expit(-u)
    with np.errstate(divide="ignore"):
        posterior = betaln(a, b) + np.log(betainc(b, a, beyond))
        prior = betaln(JEFFREYS, JEFFREYS) + np.log(betainc(JEFFREYS, JEFFREYS, beyond))
    out: FloatArray = posterior - prior - c * log_expit(u) - (n - c) * log_expit(-u)
    return out


def _lower_logit(n: IntArray, c: IntArray, alpha: float) -> FloatArray:
    """Logit of the p <= c/n where the e-value above p is 1/alpha; -inf without successes. At c/n it is at most 1."""
    share = c / np.maximum(n, 1)
    left, right = np.full(share.shape, -690.0), np.where(c == n, 690.0, logit(np.clip(share, 1e-300, 1 - 1e-16)))
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        excluded = _log_e(n, c, middle) >= -np.log(alpha)
        left, right = np.where(excluded, middle, left), np.where(excluded, right, middle)
    return np.where(c == 0, -np.inf, left)


def _distinct(n: IntArray, c: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Distinct pairs of attempts and successes, (G,) each, and which of them every task (N,) has; checked."""
    attempts, hits = np.asarray(n, np.int64), np.asarray(c, np.int64)
    if attempts.ndim != 1 or attempts.shape != hits.shape or np.any(hits < 0) or np.any(hits > attempts):
        raise BadValue("n, c", (n, c), "two vectors of one length, 0 <= c <= n")
    width = int(attempts.max(initial=0)) + 1
    pairs, which = np.unique(attempts * width + hits, return_inverse=True)
    return pairs // width, pairs % width, which
