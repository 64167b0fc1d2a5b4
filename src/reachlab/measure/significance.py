"""Tests of a difference and of its absence: exact McNemar, Holm, two one-sided tests (TOST).

Not covered: intervals, which say more (``intervals``, ``contrasts``, ``flow``).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import stats

from reachlab import FloatArray
from reachlab.errors import BadValue
from reachlab.measure.intervals import Interval

Alternative = Literal["two-sided", "greater", "less"]


def mcnemar(gained: int, lost: int, alternative: Alternative = "two-sided") -> float:
    """Exact p-value of equal success of two arms on the same tasks, from the discordant pairs.

    *gained* tasks only the arm solves, *lost* only the base, both >= 0. Without a difference each discordant task
    falls either way with probability 1/2, so given their number gained ~ Bin(gained + lost, 1/2) (McNemar 1947,
    Psychometrika 12, 153; https://doi.org/10.1007/BF02295996). ``greater`` tests for gain, ``less`` for loss;
    ``two-sided`` is twice the smaller tail, at most 1. Without discordant tasks p = 1.
    """
    if gained < 0 or lost < 0:
        raise BadValue("discordant pairs", (gained, lost), "at least 0")
    n = gained + lost
    tails = {"greater": float(stats.binom.sf(gained - 1, n, 0.5)), "less": float(stats.binom.cdf(gained, n, 0.5))}
    if alternative == "two-sided":
        return min(1.0, 2 * min(tails.values()))
    if alternative not in tails:
        raise BadValue("alternative", alternative, "two-sided, greater, less")
    return tails[alternative]


def holm(p: FloatArray) -> FloatArray:
    """Holm's step-down adjusted p-values (M,), in the order given: rejecting those <= alpha errs with at most alpha.

    With p_(1) <= ... <= p_(M): adjusted p_(i) = max over j <= i of min(1, (M - j + 1) p_(j)), under any dependence
    (Holm 1979, Scand. J. Statistics 6, 65; https://www.jstor.org/stable/4615733). *p* (M,) in [0, 1], M >= 0.
    """
    given = np.asarray(p, np.float64)
    if given.ndim != 1 or not bool(np.all((given >= 0) & (given <= 1))):
        raise BadValue("p-values", p, "a vector of numbers from 0 to 1")
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(given.size, 0, -1))
    out = np.empty_like(given)
    out[order] = np.minimum(stepped, 1.0)
    return out


def equivalent(contrast: Interval, margin: float) -> bool:
    """Whether a contrast is shown to lie within (-margin, margin); margin > 0, fixed before the data.

    TOST by its interval: limits of one-sided error alpha inside the margin are a level-alpha test of |difference| >=
    margin (Schuirmann 1987, J. Pharmacokin. Biopharm. 15, 657; https://doi.org/10.1007/BF01068419). False means *not
    shown*, not different.
    """
    _check_margin(margin)
    return -margin < contrast.low and contrast.high < margin


def tost(values: FloatArray, margin: float) -> float:
    """p-value of equivalence of a mean to 0, from paired differences (N,), N >= 2: the larger of two t-tests' p.

    t = (mean + margin) / se against mean <= -margin, t = (mean - margin) / se against mean >= margin, N - 1 degrees
    of freedom (Schuirmann 1987). Below alpha exactly when ``equivalent(student(values, alpha), margin)``. At the ends
    of a range Student's t is not to be trusted: use ``bounded_mean`` and ``equivalent`` there.
    """
    _check_margin(margin)
    given = np.asarray(values, np.float64)
    if given.ndim != 1 or given.size < 2 or not bool(np.isfinite(given).all()):
        raise BadValue("paired differences", values, "a vector of at least 2 finite numbers")
    inside = margin - abs(float(given.mean()))
    error = float(given.std(ddof=1)) / given.size**0.5
    if error == 0:
        return 0.0 if inside > 0 else 1.0
    return float(stats.t.sf(inside / error, given.size - 1))


def _check_margin(margin: float) -> None:
    if not margin > 0:
        raise BadValue("margin", margin, "above 0")
