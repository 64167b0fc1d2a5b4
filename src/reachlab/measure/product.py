"""The product rule: is success on a whole what success on its parts multiplies to (arXiv 2602.08281)?

A policy that does each part of a task as well as it does the part alone, one part's luck telling nothing of another's,
solves the whole with the product of the parts' success. Above the product the whole is more than its parts: learned as
one, or a way around some part. Below it, composing itself fails: parts that are mastered are not put together.

``product_rule(whole, [Part(search, times=2), Part(calculator)], alpha)`` with success rates of one policy on tasks of
the whole and, in samples of their own, on tasks of each part. Every limit has an equal share of *alpha* (Bonferroni).

Not covered: parts met on the same tasks as the whole (their samples are not independent). Means are multiplied: where
tasks are unlike in difficulty and a hard one is hard in all its parts, the whole exceeds the product without any more
to it, so compare within a stratum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reachlab import FloatArray
from reachlab.errors import BadValue
from reachlab.measure.intervals import Interval, bounded_mean


@dataclass(frozen=True, slots=True)
class Part:
    """What the whole needs."""

    rates: FloatArray
    """(N,) success rates of tasks of this part alone."""
    times: int = 1
    """How often the whole needs it, >= 1."""


@dataclass(frozen=True, slots=True)
class ProductRule:
    """The whole beside the product of its parts. All limits hold together, each side with one-sided error alpha."""

    composite: Interval
    product: Interval
    difference: Interval
    """Composite less product."""
    ratio: Interval
    """Composite over product; the upper limit is infinite where the product may be 0."""

    @property
    def more(self) -> bool:
        """The whole is shown to succeed more often than its parts multiply to."""
        return self.difference.low > 0

    @property
    def less(self) -> bool:
        """The whole is shown to succeed less often than its parts multiply to: composing fails."""
        return self.difference.high < 0


def product_rule(composite: FloatArray, parts: Sequence[Part], alpha: float) -> ProductRule:
    """Compare mean success on the whole, *composite* (N,), with the product of the parts' means.

    Rates are per task, in [0, 1], and every array is a sample of its own; *alpha* is one-sided.
    """
    if not parts or any(part.times < 1 for part in parts):
        raise BadValue("parts", [part.times for part in parts], "at least one, each needed at least once")
    share = alpha / (1 + len(parts))
    whole = _mean("composite", composite, share)
    means = [_mean("part", part.rates, share) for part in parts]
    powers = [part.times for part in parts]
    product = Interval(
        *(
            math.prod(getattr(m, end) ** k for m, k in zip(means, powers, strict=True))
            for end in ("value", "low", "high")
        )
    )
    return ProductRule(
        composite=whole,
        product=product,
        difference=Interval(whole.value - product.value, whole.low - product.high, whole.high - product.low),
        ratio=Interval(
            _over(whole.value, product.value), _over(whole.low, product.high), _over(whole.high, product.low)
        ),
    )


def _mean(what: str, rates: FloatArray, alpha: float) -> Interval:
    given = np.asarray(rates, np.float64)
    if given.ndim != 1 or given.size == 0 or not bool(np.all((given >= 0) & (given <= 1))):
        raise BadValue(f"rates of the {what}", rates, "a vector of numbers from 0 to 1, one for each task")
    return bounded_mean(given, alpha)


def _over(top: float, bottom: float) -> float:
    return top / bottom if bottom > 0 else math.inf if top > 0 else math.nan
