"""The product rule on worlds of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reachlab import FloatArray
from reachlab.errors import BadValue
from reachlab.measure import Part, ProductRule, product_rule
from reachlab.seeding import generator

TASKS, EPISODES, ALPHA = 80, 16, 0.025


def rates(p: float, seed: int, *name: object) -> FloatArray:
    drawn: FloatArray = generator(seed, "product", *name).binomial(EPISODES, p, size=TASKS) / EPISODES
    return drawn


def compared(whole: float, seed: int = 0) -> ProductRule:
    """Two searches at .9 and one calculation at .8 in samples of their own: the product is .648."""
    parts = [Part(rates(0.9, seed, "search"), times=2), Part(rates(0.8, seed, "calculator"))]
    return product_rule(rates(whole, seed, "whole"), parts, ALPHA)


def test_independent_parts_are_neither_more_nor_less() -> None:
    found = [compared(0.9**2 * 0.8, seed) for seed in range(200)]
    assert sum(f.more for f in found) + sum(f.less for f in found) <= 200 * 2 * ALPHA
    assert all(f.product.low <= 0.648 <= f.product.high for f in found)
    assert all(f.ratio.low <= 1 <= f.ratio.high for f in found if not f.more and not f.less)


def test_a_whole_above_or_below_its_parts_is_found() -> None:
    above, below = compared(0.85), compared(0.4)
    assert above.more and not above.less and above.ratio.low > 1
    assert below.less and not below.more and below.ratio.high < 1
    assert above.difference.value == pytest.approx(above.composite.value - above.product.value)


def test_a_part_needed_twice_counts_twice() -> None:
    part = rates(0.5, 0, "part")
    once, twice = (product_rule(part, [Part(part, times)], ALPHA).product for times in (1, 2))
    assert (twice.value, twice.low, twice.high) == pytest.approx((once.value**2, once.low**2, once.high**2))


def test_parts_that_never_succeed_leave_the_ratio_open() -> None:
    found = product_rule(np.zeros(20), [Part(np.zeros(20))], ALPHA)
    assert math.isnan(found.ratio.value) and found.ratio.high == math.inf and found.ratio.low == 0
    assert not found.more and not found.less
    assert product_rule(np.ones(20), [Part(np.zeros(20))], ALPHA).more


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        (np.ones(4), []),
        (np.ones(4), [Part(np.ones(4), times=0)]),
        (np.ones(0), [Part(np.ones(4))]),
        (np.ones(4), [Part(np.array([0.5, 1.5]))]),
        (np.array([0.5, np.nan]), [Part(np.ones(4))]),
        (np.ones((2, 2)), [Part(np.ones(4))]),
    ],
)
def test_what_is_no_rate_is_refused(whole: FloatArray, parts: list[Part]) -> None:
    with pytest.raises(BadValue):
        product_rule(whole, parts, ALPHA)
