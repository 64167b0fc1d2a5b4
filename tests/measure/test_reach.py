"""Reach in its three kinds, and unbiased pass@k."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from reachlab.errors import BadValue
from reachlab.measure import Reach, best_of, clopper_pearson, kl, pass_at_k, pass_curve, required_nats

T = 1 - 0.5**0.001
TAU = 1 - 0.5 ** (1 / 8)


def test_exact_reach_uses_the_vector() -> None:
    p0 = np.array([1e-6, 1e-3, 0.3])
    reach = Reach("closed", p0=p0)
    assert reach.kind == "exact"
    assert reach.required(0.6, 0.01) == required_nats(p0, 0.6)
    assert reach.best_of(7, 0.01) == pytest.approx(best_of(p0, 7).mean())
    assert reach.share_floor(0.9, TAU, T, 0.01) == pytest.approx((0.9 - TAU) / (1 - TAU) - 2 / 3)


def test_sampled_reach_never_plugs_in_the_frequency() -> None:
    reach = Reach("imagined", hits=0, attempts=2000)
    upper = clopper_pearson(0, 2000, 0.001).high
    assert reach.upper(0.001) == upper
    assert reach.required(0.9, 0.001) == pytest.approx(float(kl(0.9, upper)))
    assert math.isfinite(reach.required(1.0, 0.001))
    assert reach.best_of(10, 0.001) == pytest.approx(1 - (1 - upper) ** 10)
    assert reach.equivalent_k(0.9, 0.001) == pytest.approx(math.log(0.1) / math.log(1 - upper))


def test_bound_takes_the_smaller_limit() -> None:
    assert Reach("silent", hits=0, attempts=100, bound=1e-5).upper(0.001) == 1e-5
    assert Reach("silent", hits=0, attempts=10**7, bound=1e-5).upper(0.001) < 1e-5
    assert Reach("silent", bound=1e-5).kind == "bound"
    assert Reach("silent").kind == "missing"
    assert Reach("silent").upper(0.1) == 1.0


@pytest.mark.parametrize(
    "spread", [np.array([1e-4] * 4), np.array([0.0, 0.0, 0.0, 4e-4]), np.array([0, 1e-6, 0.2, 0.3])]
)
def test_limits_from_the_mean_are_conservative_for_any_spread(spread: np.ndarray) -> None:
    """With U = mean p0 the bounds hold whatever the tasks: joint convexity, concavity, Markov."""
    upper = Reach("w", bound=float(spread.mean()))
    exact = Reach("w", p0=spread)
    for p in (0.01, 0.2):
        assert upper.required(p, 0.1) <= exact.required(p, 0.1) + 1e-12
        assert upper.share_floor(p, TAU, T, 0.1) <= exact.share_floor(p, TAU, T, 0.1) + 1e-12
    for k in (1, 3, 1000):
        assert upper.best_of(k, 0.1) >= exact.best_of(k, 0.1) - 1e-12


def test_share_floor_is_a_floor_by_brute_force() -> None:
    """Tasks with success on a grid: the share above tau is never below the floor of their mean."""
    grid = (0.0, 0.05, TAU - 1e-9, TAU, 0.5, 1.0)
    reach = Reach("closed", p0=np.full(4, 1e-6))
    for rates in itertools.product(grid, repeat=4):
        share = np.mean(np.array(rates) >= TAU)
        assert share >= reach.share_floor(float(np.mean(rates)), TAU, T, 0.1) - 1e-8


@pytest.mark.parametrize(("n", "c"), [(5, 0), (5, 2), (6, 6), (7, 1)])
def test_pass_at_k_by_enumeration(n: int, c: int) -> None:
    attempts = [True] * c + [False] * (n - c)
    for k in range(1, n + 1):
        subsets = list(itertools.combinations(attempts, k))
        exact = Fraction(sum(any(s) for s in subsets), len(subsets))
        assert pass_at_k(np.array([n]), np.array([c]), k)[0] == pytest.approx(float(exact))
    with pytest.raises(BadValue):
        pass_at_k(np.array([n]), np.array([c]), n + 1)


def test_pass_at_k_is_unbiased() -> None:
    """The expectation over binomial counts is 1-(1-p)^k exactly."""
    n, p, k = 9, 0.2, 4
    counts = np.arange(n + 1)
    weights = np.array([math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in counts.tolist()])
    assert weights @ pass_at_k(np.full(n + 1, n), counts, k) == pytest.approx(1 - (1 - p) ** k)


def test_pass_curve_has_bands() -> None:
    points = pass_curve(np.array([16, 16, 20, 0]), np.array([0, 4, 20, 0]), 0.025)
    assert [p.k for p in points] == [1, 2, 4, 8, 16]
    assert points[0].success.value == pytest.approx((0 + 0.25 + 1) / 3)
    assert all(0 <= p.success.low <= p.success.value <= p.success.high <= 1 for p in points)
    assert pass_curve(np.array([0]), np.array([0]), 0.025) == []
