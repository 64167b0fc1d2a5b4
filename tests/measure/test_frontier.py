"""The frontier against brute force on small tabular policies, closed forms and mpmath."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from reachlab.errors import BadValue
from reachlab.measure import (
    best_of,
    best_of_bound,
    best_of_kl,
    curve,
    equivalent_k,
    free_energy,
    frontier_gap,
    frontier_success,
    kl,
    least_free_energy,
    required_nats,
    tilt,
    tilt_kl,
)
from reachlab.measure.frontier import LARGEST_TILT, most_nats, tilt_to

probabilities = st.floats(1e-9, 1 - 1e-9)
vectors = st.lists(st.floats(1e-12, 0.9), min_size=1, max_size=8).map(np.array)


def slow_kl(p: float, q: float) -> float:
    with mpmath.workdps(60):
        a, b = mpmath.mpf(p), mpmath.mpf(q)
        return float(a * mpmath.log(a / b) + (1 - a) * mpmath.log((1 - a) / (1 - b)))


@given(probabilities, probabilities)
@settings(max_examples=200)
def test_kl_against_mpmath(p: float, q: float) -> None:
    assert float(kl(p, q)) == pytest.approx(slow_kl(p, q), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("q", [1e-12, 1e-5, 0.3, 0.999])
@pytest.mark.parametrize("step", [1e-9, 1e-6, 1e-4, 1e-3])
def test_kl_does_not_cancel(q: float, step: float) -> None:
    p = q * (1 + step) if q < 0.5 else 1 - (1 - q) * (1 - step)
    assert float(kl(p, q)) == pytest.approx(slow_kl(p, q), rel=1e-6)


def test_kl_at_the_ends() -> None:
    assert kl([0, 1, 0, 1, 0.5, 0.5], [0, 1, 1, 0, 0, 1]).tolist() == [0, 0, math.inf, math.inf, math.inf, math.inf]
    assert float(kl(1.0, 0.25)) == pytest.approx(math.log(4))
    assert float(kl(0.0, 0.25)) == pytest.approx(-math.log(0.75))
    with pytest.raises(BadValue):
        kl(1.1, 0.5)


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=6), st.floats(0, 8))
@settings(max_examples=50)
def test_tilt_is_the_tilted_policy(weights: list[float], lam: float) -> None:
    """A tabular policy over answers, the first accepted: tilt by exp(lam * reward) and compute success and KL."""
    base = np.array(weights) / np.sum(weights)
    tilted = base * np.exp(lam * (np.arange(base.size) == 0))
    tilted /= tilted.sum()
    assert tilt(base[:1], lam)[0] == pytest.approx(tilted[0])
    assert tilt_kl(base[:1], lam)[0] == pytest.approx(np.sum(tilted * np.log(tilted / base)), abs=1e-9)


@pytest.mark.parametrize("q", [1e-12, 1e-5, 0.3, 0.7, 1 - 2**-20, 1 - 2**-40])
@pytest.mark.parametrize("lam", [1e-9, 1e-4, 0.099, 0.101, 1.0, 13.8, 60.0, 700.0])
def test_nats_of_a_tilt_do_not_cancel(q: float, lam: float) -> None:
    with mpmath.workdps(60):
        base = mpmath.mpf(q)
        p = base * mpmath.exp(lam) / (1 - base + base * mpmath.exp(lam))
        exact = float(lam * p - mpmath.log(1 - base + base * mpmath.exp(lam)))
    assert tilt_kl(np.array([q]), lam)[0] == pytest.approx(exact, rel=1e-11)


def test_nats_of_a_tilt_at_the_ends() -> None:
    assert tilt_kl(np.array([0.0, 1.0]), 3.0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("k", [1, 2, 3])
def test_best_of_k_by_enumeration(k: int) -> None:
    """All k-tuples of answers; the first accepted one wins, else the first: ties are broken without looking."""
    base = np.array([0.1, 0.15, 0.35, 0.4])
    accepted = {0, 1}
    chosen = np.zeros(4)
    for draw in itertools.product(range(4), repeat=k):
        winners = [a for a in draw if a in accepted] or list(draw)
        for winner in winners:
            chosen[winner] += np.prod(base[list(draw)]) / len(winners)
    p0 = np.array([0.25])
    assert best_of(p0, k)[0] == pytest.approx(chosen[:2].sum())
    assert best_of_kl(p0, k)[0] == pytest.approx(np.sum(chosen * np.log(chosen / base)))
    assert best_of_kl(p0, k)[0] <= best_of_bound(k) + 1e-12


@given(st.floats(1e-12, 0.999), st.floats(1, 1e6))
def test_best_of_k_never_exceeds_its_bound(p0: float, k: float) -> None:
    assert best_of_kl(np.array([p0]), k)[0] <= best_of_bound(k) + 1e-9


@pytest.mark.parametrize("p0", [[0.02, 0.3], [0.001, 0.4, 0.05]])
@pytest.mark.parametrize("delta", [0.05, 0.3, 1.0])
def test_no_closed_policy_on_a_grid_beats_the_frontier(p0: list[float], delta: float) -> None:
    """Every assignment of success to tasks with mean kl <= delta; a policy's KL is at least its binary kl."""
    grid = np.linspace(0.0, 1.0, 401 if len(p0) == 2 else 81)
    axes = np.meshgrid(*([grid] * len(p0)), indexing="ij")
    paid = np.mean([kl(a, np.full_like(a, q)) for a, q in zip(axes, p0, strict=True)], axis=0)
    best = float(np.mean(axes, axis=0)[paid <= delta].max())
    reached = frontier_success(np.array(p0), delta)
    assert best <= reached + 1e-12
    assert reached - best < (0.004 if len(p0) == 2 else 0.02)


@given(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), st.lists(st.floats(0.01, 1), min_size=4, max_size=4))
@settings(max_examples=60)
def test_any_policy_stays_under_the_frontier(first: list[float], second: list[float]) -> None:
    """Data processing: a random closed policy over four answers, its KL, its success on answers {0, 1}."""
    base, policy = np.array(first) / np.sum(first), np.array(second) / np.sum(second)
    spent = float(np.sum(policy * np.log(policy / base)))
    assert policy[:2].sum() <= frontier_success(np.array([base[:2].sum()]), max(spent, 0.0)) + 1e-9
    assert required_nats(np.array([base[:2].sum()]), float(policy[:2].sum())) <= spent + 1e-9


@given(vectors, st.floats(1e-6, 30), st.floats(1e-6, 30))
@settings(max_examples=150, deadline=None)
def test_frontier_is_monotone_and_inverted_by_required(p0: np.ndarray, one: float, two: float) -> None:
    low, high = sorted((one, two))
    r_low, r_high = frontier_success(p0, low), frontier_success(p0, high)
    assert float(p0.mean()) - 1e-12 <= r_low <= r_high + 1e-12
    # Near its ceiling R is flat: 1 - R loses digits, so the inverse is asked for only below it.
    if low < most_nats(p0) and r_low < 1 - 1e-7:
        assert required_nats(p0, r_low) == pytest.approx(low, rel=1e-6)


@given(vectors, st.floats(0.05, 0.95))
@settings(max_examples=100, deadline=None)
def test_required_is_reached_by_its_own_tilt(p0: np.ndarray, share: float) -> None:
    p = float(p0.mean()) + share * (1 - float(p0.mean()))
    assert frontier_success(p0, required_nats(p0, p)) == pytest.approx(p, rel=1e-8)


ends = st.sampled_from([0.0, 1e-12, 1e-7, 1e-3, 0.2, 0.9, 1 - 1e-6, 1.0])
mixtures = st.lists(ends, min_size=1, max_size=12).map(np.array)


@given(mixtures, st.floats(1e-6, 1 - 1e-6))
@settings(max_examples=300, deadline=None)
def test_solvers_invert_on_mixtures_of_all_scales(p0: np.ndarray, share: float) -> None:
    """Zeros, ones and plateaus between tasks of unlike difficulty: success, nats, tilt and k lead back to success."""
    low, high = float(p0.mean()), float((p0 > 0).mean())
    p = low + share * (high - low)
    assert frontier_success(p0, required_nats(p0, p)) == pytest.approx(p, rel=1e-9)
    assert float(tilt(p0, tilt_to(p0, p)).mean()) == pytest.approx(p, rel=1e-9)
    ones = float((p0 == 1).mean())
    reached = ones + share * (high - ones)
    if ones < reached < high:
        assert float(best_of(p0, equivalent_k(p0, reached)).mean()) == pytest.approx(reached, rel=1e-9)


def test_solvers_agree_with_bisection() -> None:
    p0 = np.repeat([1e-6, 1e-5, 1e-4, 1e-2, 0.1], 32)
    for p in (0.05, 0.5, 0.95, 0.9999):
        lam = optimize.brentq(lambda x, p=p: float(tilt(p0, x).mean()) - p, 0, 50, xtol=1e-13)
        k = optimize.brentq(lambda x, p=p: float(best_of(p0, math.exp(x)).mean()) - p, -5, 50, xtol=1e-13)
        assert tilt_to(p0, p) == pytest.approx(lam, rel=1e-10)
        assert required_nats(p0, p) == pytest.approx(float(kl(tilt(p0, lam), p0).mean()), rel=1e-9)
        assert equivalent_k(p0, p) == pytest.approx(math.exp(k), rel=1e-9)


def test_tilt_at_its_edges() -> None:
    assert tilt_to(np.array([0.2, 0.4]), 0.1) == 0.0
    assert tilt_to(np.array([0.2, 0.0]), 0.5) == LARGEST_TILT
    assert tilt_to(np.array([1e-6]), 0.5) == pytest.approx(-math.log(1e-6 / (1 - 1e-6)))


def test_frontier_is_concave() -> None:
    p0 = np.array([1e-6, 1e-3, 0.2, 0.7])
    deltas = np.linspace(0, most_nats(p0), 60)
    heights = np.array([frontier_success(p0, d) for d in deltas.tolist()])
    assert np.all(np.diff(heights, 2) <= 1e-9)


@pytest.mark.parametrize("q", [1e-12, 1e-6, 0.1])
def test_one_task_is_binary_kl(q: float) -> None:
    for p in (2 * q, 0.5, 0.999):
        assert required_nats(np.array([q]), p) == pytest.approx(slow_kl(p, q), rel=1e-9)
    assert required_nats(np.array([q]), 1.0) == pytest.approx(-math.log(q))


def test_required_at_its_edges() -> None:
    p0 = np.array([0.0, 0.1, 0.2])
    assert required_nats(p0, 0.1) == 0.0
    assert required_nats(p0, 2 / 3) == pytest.approx(-(math.log(0.1) + math.log(0.2)) / 3)
    assert required_nats(p0, 0.7) == math.inf
    assert frontier_success(p0, 1e9) == pytest.approx(2 / 3)
    assert frontier_success(p0, 0.0) == pytest.approx(0.1)
    assert required_nats(np.array([1.0, 1.0]), 1.0) == 0.0
    assert required_nats(np.zeros(2), 0.1) == math.inf
    for bad in (np.array([]), np.array([1.2])):
        with pytest.raises(BadValue):
            required_nats(bad, 0.5)


def test_curve_lies_on_the_frontier() -> None:
    p0 = np.array([1e-6, 1e-3, 0.2, 0.0])
    points = curve(p0, 20)
    assert points[0] == pytest.approx((0.0, p0.mean()))
    assert points[-1].success == pytest.approx(0.999 * 0.75)
    for point in points[1:]:
        assert frontier_success(p0, point.kl) == pytest.approx(point.success, rel=1e-6)


@given(vectors, st.floats(0.01, 0.95))
@settings(max_examples=100, deadline=None)
def test_equivalent_k_reaches_the_success(p0: np.ndarray, p: float) -> None:
    assert float(best_of(p0, equivalent_k(p0, p)).mean()) == pytest.approx(p, rel=1e-8)


def test_equivalent_k_closed_form_and_edges() -> None:
    assert equivalent_k(np.array([1e-6]), 0.5) == pytest.approx(math.log(0.5) / math.log1p(-1e-6))
    assert equivalent_k(np.array([0.3]), 0.3) == pytest.approx(1.0)
    assert equivalent_k(np.array([0.3]), 0.0) == 0.0
    assert equivalent_k(np.array([0.3, 0.0]), 0.5) == math.inf
    assert equivalent_k(np.array([1.0, 0.0]), 0.5) == 1.0


@given(vectors, st.floats(0.05, 5), st.floats(0, 20))
@settings(max_examples=100, deadline=None)
def test_free_energy_is_least_at_the_tilt(p0: np.ndarray, beta: float, lam: float) -> None:
    least = least_free_energy(p0, beta)
    other = free_energy(float(tilt(p0, lam).mean()), float(tilt_kl(p0, lam).mean()), beta)
    best = free_energy(float(tilt(p0, 1 / beta).mean()), float(tilt_kl(p0, 1 / beta).mean()), beta)
    assert best == pytest.approx(least, rel=1e-7, abs=1e-10)
    assert other >= least - 1e-9


def test_frontier_gap_is_zero_on_the_frontier() -> None:
    p0 = np.array([0.01, 0.2])
    assert frontier_gap(p0, float(tilt(p0, 2.0).mean()), float(tilt_kl(p0, 2.0).mean())) == pytest.approx(0, abs=1e-10)
