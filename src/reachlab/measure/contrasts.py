"""Means and contrasts over tasks of arms with training seeds: (S, N) matrices in, intervals out.

Rows are training runs, columns tasks. A row count of 1 (the base, an exact vector) stands beside any other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reachlab import FloatArray
from reachlab.measure.intervals import Interval, bounded_mean, positive_mean, with_seeds
from reachlab.measure.records import ArmCounts, Mask

Term = tuple[float, FloatArray]
"""Coefficient and (S or 1, N) success rates."""


def combine(terms: Sequence[Term], mask: Mask) -> FloatArray:
    """(S, n) sum of coefficient * rates over the masked tasks that every term has; paired by task and by run.

    Terms with several rows are paired row by row; where their numbers differ the surplus rows are left out.
    """
    rows = min((v.shape[0] for _, v in terms if v.shape[0] > 1), default=1)
    total = np.zeros((rows, int(mask.sum())))
    for coefficient, values in terms:
        total = total + coefficient * values[:rows, mask]
    return total[:, np.all(np.isfinite(total), axis=0)]


def difference(
    terms: Sequence[Term], mask: Mask, alpha: float, low: float | None = None, high: float | None = None
) -> Interval | None:
    """Interval of a linear contrast of success rates, each side with one-sided error *alpha*; None without tasks.

    *low* and *high* tighten the range of one task's contrast where more is known than that rates lie in [0, 1].
    """
    values = combine(terms, mask)
    if values.shape[1] == 0:
        return None
    least = sum(min(c, 0.0) for c, _ in terms) if low is None else low
    most = sum(max(c, 0.0) for c, _ in terms) if high is None else high
    tasks = bounded_mean(np.clip(values.mean(axis=0), least, most), alpha, least, most)
    return with_seeds(tasks, values.mean(axis=1), alpha).clip(least, most)


def success(counts: ArmCounts, mask: Mask, alpha: float, runs: bool = True) -> Interval:
    """Mean success over the masked tasks; *runs* False leaves the spread between training runs out.

    Without a scored task the interval is [0, 1] around NaN.
    """
    found = difference([(1.0, counts.success())], mask, alpha)
    if found is None or runs:
        return found or Interval(math.nan, 0.0, 1.0)
    values = combine([(1.0, counts.success())], mask).mean(axis=0)
    return bounded_mean(np.clip(values, 0.0, 1.0), alpha)


def nats(values: FloatArray, mask: Mask, alpha: float, runs: bool = True) -> Interval:
    """Mean of a non-negative quantity (S, N), such as spent nats, over the masked tasks that have it."""
    kept = combine([(1.0, values)], mask)
    if kept.shape[1] == 0:
        return Interval(math.nan, 0.0, math.inf)
    if not kept.any():
        return Interval(0.0, 0.0, 0.0)
    tasks = positive_mean(np.maximum(kept.mean(axis=0), 0.0), alpha)
    return with_seeds(tasks, kept.mean(axis=1), alpha).clip(0.0, math.inf) if runs else tasks


def any_mean(values: FloatArray, mask: Mask, alpha: float) -> Interval:
    """Mean of a quantity (S, N) of either sign: the positive part's interval less the negative part's."""
    kept = np.where(np.isfinite(values), values, np.nan)
    above = nats(np.maximum(kept, 0.0), mask, alpha / 2)
    below = nats(np.maximum(-kept, 0.0), mask, alpha / 2)
    return Interval(above.value - below.value, above.low - below.high, above.high - below.low)


def mean_over(values: FloatArray, mask: Mask) -> float:
    """Plain mean of (S, N) over runs and masked tasks, leaving out NaN; NaN if nothing is left."""
    kept = values[:, mask]
    total = float(kept.sum())
    if math.isfinite(total):  # the usual case, and several times as fast
        return total / kept.size if kept.size else math.nan
    return float(np.nanmean(kept)) if np.isfinite(kept).any() else math.nan


def success_bits(counts: ArmCounts, mask: Mask, alpha: float) -> Interval:
    """Imported bits averaged over the successful episodes of the masked tasks: sum c b / sum c.

    With equally many episodes at each task this is the mean that the chain rule bounds (DESIGN 1, Bits imported).
    The interval is Gaffke's for the linearised ratio, c (b - B) / mean c, between what a task with the most successes
    would add if they had imported nothing and if they had imported twice the most that was seen.
    """
    if counts.bits is None:
        return Interval(math.nan, 0.0, math.inf)
    hits = np.where(np.isfinite(counts.bits), counts.successes, 0)[:, mask]
    bits = np.nan_to_num(counts.bits[:, mask])
    weight, total = hits.sum(axis=0).astype(float), (hits * bits).sum(axis=0)
    if weight.sum() == 0:
        return Interval(math.nan, 0.0, math.inf)
    ratio, unit = float(total.sum() / weight.sum()), float(weight.max() / weight.mean())
    influence = (total - ratio * weight) / float(weight.mean())
    around = bounded_mean(influence, alpha, -ratio * unit, (2 * float(bits.max()) - ratio) * unit)
    return Interval(ratio, max(0.0, ratio + around.low), ratio + around.high)
