"""Means and contrasts over tasks of arms with training seeds: (S, N) matrices in, intervals out.

Rows are training runs, columns tasks. A row count of 1 (the base, an exact vector) stands beside any other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reachlab import FloatArray
from reachlab.measure.intervals import (
    Interval,
    bounded_mean,
    lower_limit,
    positive_mean,
    positive_upper,
    with_seeds,
)
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


def success(counts: ArmCounts, mask: Mask, alpha: float) -> Interval:
    """Mean success over the masked tasks. Without a scored task the interval is [0, 1] around NaN."""
    return difference([(1.0, counts.success())], mask, alpha) or Interval(math.nan, 0.0, 1.0)


def least_success(counts: ArmCounts, mask: Mask, alpha: float) -> float:
    """Lower limit of mean success of the training runs at hand: their spread plays no part. 0 without a scored task."""
    values = combine([(1.0, counts.success())], mask)
    return lower_limit(np.clip(values.mean(axis=0), 0.0, 1.0), alpha) if values.size else 0.0


def most_nats(values: FloatArray, mask: Mask, alpha: float) -> float:
    """Upper limit of the mean of a non-negative quantity (S, N) in the training runs at hand."""
    kept = combine([(1.0, values)], mask)
    return positive_upper(np.maximum(kept.mean(axis=0), 0.0), alpha) if kept.any() else 0.0 if kept.size else math.inf


def nats(values: FloatArray, mask: Mask, alpha: float) -> Interval:
    """Mean of a non-negative quantity (S, N), such as spent nats, over the masked tasks that have it."""
    kept = combine([(1.0, values)], mask)
    if kept.shape[1] == 0:
        return Interval(math.nan, 0.0, math.inf)
    if not kept.any():
        return Interval(0.0, 0.0, 0.0)
    tasks = positive_mean(np.maximum(kept.mean(axis=0), 0.0), alpha)
    return with_seeds(tasks, kept.mean(axis=1), alpha).clip(0.0, math.inf)


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


def _bits(counts: ArmCounts, mask: Mask) -> tuple[FloatArray, FloatArray]:
    """(n,) successes with bits and the bits they imported together, at each masked task."""
    if counts.bits is None:
        return np.zeros(1), np.zeros(1)
    hits = np.where(np.isfinite(counts.bits), counts.successes, 0)[:, mask]
    return hits.sum(axis=0).astype(float), (hits * np.nan_to_num(counts.bits[:, mask])).sum(axis=0)


def mean_bits(counts: ArmCounts, mask: Mask) -> float:
    """Imported bits averaged over the successful episodes of the masked tasks; NaN without any."""
    weight, total = _bits(counts, mask)
    return float(total.sum() / weight.sum()) if weight.sum() else math.nan


def success_bits(counts: ArmCounts, mask: Mask, alpha: float) -> Interval:
    """Imported bits averaged over the successful episodes of the masked tasks: sum c b / sum c.

    With equally many episodes at each task this is the mean that the chain rule bounds (DESIGN 1, Bits imported).
    The interval is Gaffke's for the linearised ratio, c (b - B) / mean c, between what a task with the most successes
    would add if they had imported nothing and if they had imported twice the most that was seen.
    """
    weight, total = _bits(counts, mask)
    if not weight.sum() or counts.bits is None:
        return Interval(math.nan, 0.0, math.inf)
    ratio, unit = float(total.sum() / weight.sum()), float(weight.max() / weight.mean())
    influence = (total - ratio * weight) / float(weight.mean())
    most = float(np.nanmax(counts.bits[:, mask]))
    around = bounded_mean(influence, alpha, -ratio * unit, (2 * most - ratio) * unit)
    return Interval(ratio, max(0.0, ratio + around.low), ratio + around.high)
