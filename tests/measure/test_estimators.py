"""pass@k, pass@(k,T) and Cover@tau: enumeration of all draws, exact unbiasedness, exact coverage."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy import stats

from reachlab import FloatArray, IntArray
from reachlab.errors import BadValue
from reachlab.measure.estimators import (
    cover_at,
    cover_curve,
    pass_at_k,
    pass_curve,
    pass_surface,
    successes_within,
)
from reachlab.measure.intervals import bounded_mean


def draws_that_hit(hits: list[bool], k: int) -> Fraction:
    """Of all choices of k attempts, the share with a success."""
    chosen = list(itertools.combinations(hits, k))
    return Fraction(sum(any(c) for c in chosen), len(chosen))


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_pass_at_k_is_the_share_of_all_choices_of_k_attempts(n: int) -> None:
    for c, k in itertools.product(range(n + 1), range(1, n + 1)):
        exact = draws_that_hit([i < c for i in range(n)], k)
        assert pass_at_k(np.array([n]), np.array([c]), k)[0] == pytest.approx(float(exact), abs=1e-14)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_pass_at_k_has_no_bias(k: int) -> None:
    """Its expectation over c ~ Bin(n, p), in rationals, is 1 - (1-p)^k: the estimate of an off-by-one k is not."""
    n, p = 6, Fraction(1, 5)
    estimates = pass_at_k(np.full(n + 1, n), np.arange(n + 1), k)
    weights = [comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    expected = sum(float(w) * e for w, e in zip(weights, estimates.tolist(), strict=True))
    assert expected == pytest.approx(float(1 - (1 - p) ** k), abs=1e-14)


def test_pass_at_k_of_many_attempts_neither_overflows_nor_cancels() -> None:
    n, c, k = 10_000, 1, 5_000
    assert pass_at_k(np.array([n]), np.array([c]), k)[0] == pytest.approx(0.5, abs=1e-9)  # one hit, half the draws
    exact = 1 - Fraction(comb(900, 200), comb(1000, 200))
    assert pass_at_k(np.array([1000]), np.array([100]), 200)[0] == pytest.approx(float(exact), rel=1e-12)


# --------------------------------------------------------------------------------------------------------- pass@(k,T)

TURNS = [np.array([3, 1, 3, 2]), np.array([], int), np.array([5])]
"""Turns of the successful attempts at three tasks of six attempts each."""


def test_successes_within_counts_those_of_at_most_t_turns() -> None:
    limits = [0, 1, 2, 3, 5, 9]
    wanted = [[sum(int(x) <= limit for x in t) for limit in limits] for t in TURNS]
    assert successes_within(TURNS, limits).tolist() == wanted
    assert successes_within([], limits).shape == (0, 6)


def test_pass_surface_is_the_share_of_choices_with_a_success_in_time() -> None:
    n, limits = np.full(3, 6), [1, 2, 3, 5]
    points = pass_surface(n, successes_within(TURNS, limits), limits, 0.025, ks=(1, 2, 4, 6))
    assert {(p.k, p.turns) for p in points} == set(itertools.product((1, 2, 4, 6), limits))
    for point in points:
        attempts = [[i < t.size and bool(t[i] <= point.turns) for i in range(6)] for t in TURNS]
        exact = [float(draws_that_hit(a, point.k)) for a in attempts]
        assert point.success.value == pytest.approx(np.mean(exact), abs=1e-14)
        band = bounded_mean(np.array(exact), 0.025)
        assert (point.success.low, point.success.high) == pytest.approx((band.low, band.high), abs=1e-9)


def test_pass_surface_rises_in_k_and_t_and_ends_in_pass_at_k() -> None:
    rng = np.random.default_rng(0)
    n, limits = np.full(40, 8), [1, 2, 4]
    turns = [rng.integers(1, 5, rng.integers(0, 9)) for _ in range(40)]
    points = pass_surface(n, successes_within(turns, limits), limits, 0.025)
    surface = {(p.k, p.turns): p.success.value for p in points}
    for (k, t), value in surface.items():
        assert value >= max(surface.get((k // 2, t), 0.0), surface.get((k, t // 2), 0.0))
    last = pass_curve(n, np.array([t.size for t in turns]), 0.025)
    assert [surface[p.k, 4] for p in last] == [p.success.value for p in last]


# ---------------------------------------------------------------------------------------------------------- Cover@tau


def test_cover_and_pass_at_k_are_one_curve() -> None:
    """Pass@k = integral of Cover@tau k (1-tau)^(k-1), arXiv 2510.08325: here for the plug-ins of both."""
    n, c = np.full(5, 20), np.array([0, 1, 7, 19, 20])
    edges = np.arange(21) / 20  # the plug-in is constant between j/20 (excluded) and (j+1)/20
    cover = [p.share.value for p in cover_curve(n, c, edges[1:].tolist(), 0.025)]
    for k in (1, 3, 10):
        weights = (1 - edges[:-1]) ** k - (1 - edges[1:]) ** k
        assert float(np.dot(cover, weights)) == pytest.approx(np.mean(1 - (1 - c / n) ** k), abs=1e-12)


@pytest.mark.parametrize(("n", "tau", "least"), [(10, 0.3, 3), (30, 0.1, 3), (16, 0.5, 8), (7, 1.0, 7), (25, 0.28, 7)])
def test_plug_in_counts_tasks_with_at_least_tau(n: int, tau: float, least: int) -> None:
    counts = np.arange(n + 1)
    assert cover_at(np.full(n + 1, n), counts, tau, 0.025).value == (n + 1 - least) / (n + 1)


def exact_misses(p: FloatArray, n: IntArray, tau: float, alpha: float) -> tuple[float, float]:
    """Probabilities, over all outcomes of n attempts at each task, that the limits miss the true share."""
    true = float(np.mean(p >= tau))
    below = above = 0.0
    for c in itertools.product(*(range(int(m) + 1) for m in n)):
        weight = float(np.prod(stats.binom.pmf(c, n, p)))
        found = cached(tuple(sorted(zip(n.tolist(), c, strict=True))), tau, alpha)
        above += weight * (found[0] > true + 1e-12)
        below += weight * (found[1] < true - 1e-12)
    return above, below


CACHE: dict[tuple[object, ...], tuple[float, float]] = {}


def cached(tasks: tuple[tuple[int, int], ...], tau: float, alpha: float) -> tuple[float, float]:
    if (tasks, tau, alpha) not in CACHE:
        n, c = np.array(tasks).T
        found = cover_at(n, c, tau, alpha)
        assert 0 <= found.low <= found.value <= found.high <= 1
        CACHE[tasks, tau, alpha] = (found.low, found.high)
    return CACHE[tasks, tau, alpha]


@pytest.mark.parametrize("alpha", [0.2, 0.45])
@pytest.mark.parametrize("p", [(0.5, 0.5, 0.5), (0.499, 0.499, 0.499), (0.499, 0.499, 0.5), (0.0, 0.499, 1.0)])
@pytest.mark.parametrize("n", [(4, 4, 4), (2, 4, 5)])
def test_limits_hold_for_the_hardest_tasks(p: tuple[float, ...], n: tuple[int, ...], alpha: float) -> None:
    """Success probabilities at tau and just short of it, where thresholding task by task is wrong."""
    above, below = exact_misses(np.array(p), np.array(n), 0.5, alpha)
    assert max(above, below) <= alpha + 1e-9


def test_limits_hold_where_the_plug_in_is_wrong_by_far() -> None:
    """No task reaches .5, yet 60 % show it in 16 attempts; all reach it, yet 40 % do not show it."""
    rng, misses, reps, alpha = np.random.default_rng(5), [0, 0], 250, 0.3
    n = np.full(200, 16)
    for _ in range(reps):
        short = cover_at(n, rng.binomial(16, 0.4999, 200), 0.5, alpha)
        full = cover_at(n, rng.binomial(16, 0.5, 200), 0.5, alpha)
        assert short.value > 0.4 and full.value < 0.8
        misses[0] += short.low > 0
        misses[1] += full.high < 1
    assert max(misses) <= reps * alpha + 3 * np.sqrt(reps * alpha * (1 - alpha))


def test_tasks_with_few_attempts_prove_nothing_beside_one_with_many() -> None:
    """At p just short of .5 a quarter of the tasks with two attempts solve both: no share follows from that."""
    n, c = np.r_[np.full(200, 2), 64], np.r_[np.repeat([2, 1, 0], [50, 100, 50]), 32]
    assert cover_at(n, c, 0.5, 0.025).low == 0.0
    assert cover_at(n, c, 0.5, 0.025).high > 0.95


def test_limits_close_in_on_the_share_where_tasks_are_clear() -> None:
    n, c = np.full(400, 64), np.repeat([60, 3], [280, 120])
    found = cover_at(n, c, 0.5, 0.025)
    assert found.value == 0.7
    assert 0.62 < found.low < 0.7 < found.high < 0.78


def test_nothing_can_certify_certainty() -> None:
    assert cover_at(np.full(50, 16), np.full(50, 16), 1.0, 0.025).low == 0.0
    assert cover_at(np.full(50, 16), np.full(50, 15), 1.0, 0.025).high < 0.1


def test_cover_leaves_out_tasks_without_attempts() -> None:
    with_empty = cover_at(np.array([16, 0, 16]), np.array([16, 0, 1]), 0.5, 0.025)
    assert with_empty == cover_at(np.array([16, 16]), np.array([16, 1]), 0.5, 0.025)
    nothing = cover_at(np.array([0]), np.array([0]), 0.5, 0.025)
    assert np.isnan(nothing.value) and (nothing.low, nothing.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pass_at_k(np.array([3]), np.array([1]), 4),
        lambda: pass_at_k(np.array([3]), np.array([4]), 1),
        lambda: pass_surface(np.array([3]), np.array([[1, 2]]), [1], 0.025),
        lambda: pass_surface(np.array([3]), np.array([[4]]), [1], 0.025),
        lambda: successes_within([np.array([-1])], [1]),
        lambda: cover_at(np.array([3]), np.array([1]), 0.0, 0.025),
        lambda: cover_at(np.array([3]), np.array([1]), 1.1, 0.025),
        lambda: cover_at(np.array([3, 3]), np.array([1]), 0.5, 0.025),
        lambda: cover_at(np.array([3]), np.array([4]), 0.5, 0.025),
        lambda: cover_at(np.array([3]), np.array([1]), 0.5, 0.5),
    ],
)
def test_bad_values_are_named(call: Callable[[], object]) -> None:
    with pytest.raises(BadValue, match="allowed"):
        call()
