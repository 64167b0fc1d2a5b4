"""Limits of means: closed forms, independent simulation of the same quantity, and coverage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reachlab import FloatArray
from reachlab.errors import BadValue
from reachlab.measure.intervals import (
    Interval,
    bounded_mean,
    clopper_pearson,
    dirichlet_mean_cdf,
    lower_limit,
    pooled_upper,
    positive_mean,
    student,
    with_seeds,
)


@pytest.mark.parametrize(("c", "n"), [(0, 5), (1, 7), (5, 7), (7, 7), (3, 1000)])
@pytest.mark.parametrize("alpha", [0.025, 0.001, 1e-6])
def test_clopper_pearson_inverts_the_binomial(c: int, n: int, alpha: float) -> None:
    limits = clopper_pearson(c, n, alpha)
    assert limits.value == c / n
    if c > 0:
        assert stats.binom.sf(c - 1, n, limits.low) == pytest.approx(alpha, rel=1e-6)
    if c < n:
        assert stats.binom.cdf(c, n, limits.high) == pytest.approx(alpha, rel=1e-6)


def test_clopper_pearson_against_scipy() -> None:
    for c, n in ((0, 4), (2, 9), (9, 9)):
        ci = stats.binomtest(c, n).proportion_ci(0.95, "exact")
        assert (clopper_pearson(c, n, 0.025).low, clopper_pearson(c, n, 0.025).high) == pytest.approx((ci.low, ci.high))


def test_no_hits_give_the_rule_of_three() -> None:
    assert pooled_upper(0, 1000, 0.05) == pytest.approx(1 - 0.05 ** (1 / 1000))
    assert pooled_upper(0, 0, 0.05) == 1.0


COUNTS = [(0, 1), (1, 1), (0, 6), (2, 6), (99, 100), (17, 400), (1000, 1000), (9_999, 10_000), (10_000, 10_000)]


@pytest.mark.parametrize(("c", "n"), COUNTS)
@pytest.mark.parametrize("alpha", [0.025, 0.001, 1e-7])
def test_on_zeros_and_ones_it_is_clopper_pearson(c: int, n: int, alpha: float) -> None:
    values = np.r_[np.ones(c), np.zeros(n - c)]
    found, exact = bounded_mean(values, alpha), clopper_pearson(c, n, alpha)
    assert found.low == pytest.approx(exact.low, rel=1e-6, abs=1e-9)
    assert found.high == pytest.approx(exact.high, rel=1e-6, abs=1e-9)


def test_dirichlet_mean_against_simulation() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 5, 30):
        values = rng.random(n)
        means = rng.dirichlet(np.ones(n), 40_000) @ values
        for q in np.quantile(means, [0.02, 0.3, 0.9]).tolist():
            assert dirichlet_mean_cdf(values, np.ones(n), q) == pytest.approx(np.mean(means <= q), abs=0.012)


def test_dirichlet_mean_against_the_divided_difference() -> None:
    """P = 1 - sum_i (z_i - q)_+^(n-1) / prod_{j != i} (z_i - z_j): exact, but only mpmath survives its cancellation."""
    rng = np.random.default_rng(1)
    with mpmath.workdps(80):
        for n in (3, 12, 25, 60):
            z = rng.random(n)
            for q in (z.min() + 0.02 * np.ptp(z), z.mean(), z.min() + 0.9 * np.ptp(z)):
                terms = [
                    (mpmath.mpf(a) - q) ** (n - 1) / mpmath.fprod(mpmath.mpf(a) - mpmath.mpf(b) for b in z if b != a)
                    for a in z.tolist()
                    if a > q
                ]
                exact = float(1 - mpmath.fsum(terms))
                assert dirichlet_mean_cdf(z, np.ones(n), float(q)) == pytest.approx(exact, rel=1e-7, abs=1e-14)


@pytest.mark.parametrize("n", [2, 3, 40, 1000, 10_000])
@pytest.mark.parametrize("alpha", [0.4, 0.1, 0.025, 0.001, 1e-12])
def test_one_full_success_among_halves(n: int, alpha: float) -> None:
    """P(q) = (2 q)^n / 2 up to q = 1/2 for n - 1 halves and a one: w_0 > w_n decides, at two scales far apart."""
    values = np.r_[np.full(n - 1, 0.5), 1.0]
    assert lower_limit(values, alpha) == pytest.approx((2 * alpha) ** (1 / n) / 2, rel=1e-9)


sizes = st.sampled_from([1e-9, 1e-4, 0.03, 1.0])
samples = st.lists(st.tuples(st.floats(0.01, 1), sizes, st.integers(1, 30)), min_size=1, max_size=25)


@given(samples, st.floats(-12, -0.4))
@settings(max_examples=200, deadline=None)
def test_limits_and_tails_are_inverse(data: list[tuple[float, float, int]], log_alpha: float) -> None:
    """Clusters, ties, outliers and scales at once; the contour of the tail is not that of the limit."""
    values, alpha = np.concatenate([np.full(m, size * v) for v, size, m in data]), 10.0**log_alpha
    z, counts = np.unique(np.append(values / values.max(), 0.0).round(12), return_counts=True)
    limit = lower_limit(z.repeat(counts)[1:], alpha)
    assert dirichlet_mean_cdf(z, counts.astype(float), limit) == pytest.approx(alpha, rel=1e-7)


def test_repeated_values_are_counts() -> None:
    z = np.array([0.1, 0.1, 0.1, 0.7, 0.9, 0.9])
    once = dirichlet_mean_cdf(np.array([0.1, 0.7, 0.9]), np.array([3.0, 1.0, 2.0]), 0.4)
    assert dirichlet_mean_cdf(z, np.ones(6), 0.4) == pytest.approx(once, rel=1e-9)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=40),
    st.sampled_from([0.1, 0.025, 0.001, 1e-5]),
    st.floats(-3, 3),
    st.floats(0.1, 10),
)
@settings(max_examples=60, deadline=None)
def test_limits_contain_the_mean_and_move_with_the_data(
    data: list[float], alpha: float, shift: float, scale: float
) -> None:
    values = np.array(data)
    found = bounded_mean(values, alpha)
    assert -1e-9 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1 + 1e-9
    stricter = bounded_mean(values, alpha / 10)
    assert stricter.low <= found.low + 1e-9
    assert stricter.high >= found.high - 1e-9
    moved = bounded_mean(shift + scale * values, alpha, shift, shift + scale)
    assert moved.low == pytest.approx(shift + scale * found.low, abs=1e-6)
    assert moved.high == pytest.approx(shift + scale * found.high, abs=1e-6)
    mirrored = bounded_mean(1 - values, alpha)
    assert mirrored.low == pytest.approx(1 - found.high, abs=1e-7)


Draw = Callable[[np.random.Generator, int], FloatArray]
POPULATIONS: dict[str, tuple[Draw, float]] = {
    "good arm": (lambda r, n: r.binomial(16, r.beta(9, 1, n)) / 16, 0.9),
    "two kinds of task": (lambda r, n: r.binomial(16, np.where(r.random(n) < 0.3, 0.1, 0.95)) / 16, 0.695),
    "rare": (lambda r, n: r.binomial(16, 0.002, n) / 16, 0.002),
    "heavy tail": (lambda r, n: r.binomial(16, r.beta(0.02, 1, n)) / 16, 0.02 / 1.02),
}


@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize("n", [12, 100])
def test_coverage(name: str, n: int) -> None:
    """Errors of both limits at .025 and .001: no more than nominal plus four standard errors of the simulation."""
    draw, mean = POPULATIONS[name]
    rng, reps = np.random.default_rng(7), 500
    errors = {0.025: [0, 0], 0.001: [0, 0]}
    for _ in range(reps):
        values = draw(rng, n)
        for side, (sample, worst, target) in enumerate(((values, 0.0, mean), (-values, -1.0, -mean))):
            z, counts = np.unique(np.append(sample, worst), return_counts=True)
            tail = dirichlet_mean_cdf(z, counts.astype(float), target)
            for alpha, hits in errors.items():
                hits[side] += tail < alpha
    for alpha, hits in errors.items():
        assert max(hits) <= reps * alpha + 4 * np.sqrt(reps * alpha) + 1


def test_students_limit_would_not_cover_near_one() -> None:
    """Why Student's limit is not used: 99 of 100 tasks solved, as a true mean of .93 gives more often than .001."""
    values = np.r_[np.ones(99), 0.0]
    assert student(values, 0.001).low > 0.93
    assert stats.binom.sf(98, 100, 0.93) > 0.005
    assert lower_limit(values, 0.001) < 0.915


def test_positive_mean_covers_skewed_nats() -> None:
    rng, misses, student_misses, reps = np.random.default_rng(3), 0, 0, 400
    for _ in range(reps):
        values = rng.lognormal(0.0, 0.8, 60)
        misses += positive_mean(values, 0.005).high < np.exp(0.32)
        student_misses += student(values, 0.005).high < np.exp(0.32)
    assert misses / reps < 0.005
    assert student_misses / reps > 0.02


def test_positive_mean_edges() -> None:
    assert positive_mean(np.array([]), 0.01).high == np.inf
    assert positive_mean(np.array([2.0]), 0.01).high == np.inf
    alike = positive_mean(np.full(4, 2.0), 0.01)  # four alike do not show that there is no other kind
    assert (alike.low, alike.high) == pytest.approx((2 * 0.01**0.25, 4 - 2 * 0.01**0.25))


def test_seeds_combine_as_root_sum_of_squares() -> None:
    task = Interval(0.5, 0.4, 0.7)
    seeds = np.array([0.45, 0.5, 0.55])
    half = stats.t.isf(0.025, 2) * 0.05 / np.sqrt(3)
    found = with_seeds(task, seeds, 0.025)
    assert found.low == pytest.approx(0.5 - np.hypot(0.1, half))
    assert found.high == pytest.approx(0.5 + np.hypot(0.2, half))
    assert with_seeds(task, seeds[:2], 0.025) == task


def test_estimates_hold_no_infinity() -> None:
    assert Interval(1.0, 0.5, np.inf).estimate().ci == (0.5, None)
    missing = Interval(np.inf, 1.0, np.inf).estimate(reason="out of reach")
    assert (missing.value, missing.kind, missing.reason) == (None, "missing", "out of reach")


@pytest.mark.parametrize("call", [lambda: clopper_pearson(3, 2, 0.1), lambda: clopper_pearson(1, 2, 0.6)])
def test_bad_values_are_named(call: Callable[[], Interval]) -> None:
    with pytest.raises(BadValue, match="allowed"):
        call()


def test_values_below_the_range_are_refused() -> None:
    with pytest.raises(BadValue):
        lower_limit(np.array([-0.5]), 0.1)


@pytest.mark.smoke
def test_the_benchmark_runs(tmp_path: Path) -> None:
    benchmark = Path(__file__).parents[2] / "benchmarks" / "intervals.py"
    command = [sys.executable, "-W", "error", str(benchmark), "--repeats", "3", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == 13
    for row in rows.values():
        assert all(0 < unit["low"] <= unit["median"] <= unit["high"] for unit in row.values())
