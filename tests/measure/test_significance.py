"""McNemar, Holm and TOST against enumeration, the closed testing principle and SciPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reachlab.errors import BadValue
from reachlab.measure.intervals import Interval, bounded_mean, student
from reachlab.measure.significance import Alternative, equivalent, holm, mcnemar, tost


@pytest.mark.parametrize("n", [1, 4, 7])
def test_mcnemar_by_all_ways_the_discordant_tasks_can_fall(n: int) -> None:
    ways = [sum(fall) for fall in itertools.product((0, 1), repeat=n)]
    for gained in range(n + 1):
        upper = Fraction(sum(w >= gained for w in ways), 2**n)
        lower = Fraction(sum(w <= gained for w in ways), 2**n)
        assert mcnemar(gained, n - gained, "greater") == pytest.approx(float(upper), abs=1e-15)
        assert mcnemar(gained, n - gained, "less") == pytest.approx(float(lower), abs=1e-15)
        extreme = Fraction(sum(abs(2 * w - n) >= abs(2 * gained - n) for w in ways), 2**n)
        assert mcnemar(gained, n - gained) == pytest.approx(float(extreme), abs=1e-15)


@pytest.mark.parametrize("pair", [(5, 1), (48, 175), (79, 9), (0, 3), (1000, 1100)])
@pytest.mark.parametrize("alternative", get_args(Alternative))
def test_mcnemar_against_scipy(pair: tuple[int, int], alternative: Alternative) -> None:
    wanted = stats.binomtest(pair[0], sum(pair), 0.5, alternative).pvalue
    assert mcnemar(*pair, alternative) == pytest.approx(wanted, rel=1e-9)


def test_mcnemar_without_discordant_tasks_and_its_symmetry() -> None:
    assert [mcnemar(0, 0, a) for a in get_args(Alternative)] == [1.0, 1.0, 1.0]
    assert mcnemar(9, 2) == mcnemar(2, 9) and mcnemar(9, 2, "greater") == mcnemar(2, 9, "less")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_holm_is_the_closed_test_of_bonferroni(p: list[float]) -> None:
    """An adjusted p is the largest Bonferroni p of any set of hypotheses with that one in it (Marcus et al. 1976)."""
    m = len(p)
    subsets = [s for r in range(1, m + 1) for s in itertools.combinations(range(m), r)]
    wanted = [max(min(1.0, len(s) * min(p[j] for j in s)) for s in subsets if i in s) for i in range(m)]
    assert holm(np.array(p)).tolist() == pytest.approx(wanted, abs=1e-15)


def test_holm_worked_example() -> None:
    assert holm(np.array([0.03, 0.01, 0.04, 0.005])).tolist() == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm(np.array([])).size == 0


def test_holm_keeps_the_family_wise_error() -> None:
    """Three true and two false hypotheses: some true one is rejected in at most 5 % of families, not in 14 %."""
    rng, reps = np.random.default_rng(0), 2000
    p = np.hstack([rng.random((reps, 3)), rng.random((reps, 2)) * 1e-4])
    adjusted = np.array([holm(row) for row in p])
    assert np.mean((adjusted[:, :3] <= 0.05).any(axis=1)) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / reps)
    assert np.mean((p[:, :3] <= 0.05).any(axis=1)) > 0.11
    assert (adjusted[:, 3:] <= 0.05).all()


def test_tost_is_the_larger_of_two_t_tests() -> None:
    values = np.random.default_rng(1).normal(0.02, 0.1, 25)
    for margin in (0.01, 0.05, 0.2):
        above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(values, margin, alternative="less").pvalue
        assert tost(values, margin) == pytest.approx(max(above, below), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("margin", [0.02, 0.05, 0.08, 0.2])
def test_tost_and_its_interval_agree(alpha: float, margin: float) -> None:
    values = np.random.default_rng(2).normal(0.01, 0.1, 40)
    assert (tost(values, margin) < alpha) == equivalent(student(values, alpha), margin)


def test_equivalence_is_seldom_claimed_at_the_margin() -> None:
    """A true difference of exactly the margin, on {-1, 0, 1}: equivalence is claimed with at most alpha."""
    rng, claimed, small, reps = np.random.default_rng(3), 0, 0, 300
    for _ in range(reps):
        values = rng.choice([-1.0, 0.0, 1.0], 150, p=[0.05, 0.75, 0.2])
        claimed += equivalent(bounded_mean(values, 0.05, -1.0, 1.0), 0.15)
        none = rng.choice([-1.0, 0.0, 1.0], 150, p=[0.05, 0.9, 0.05])
        small += equivalent(bounded_mean(none, 0.05, -1.0, 1.0), 0.15)
    assert claimed <= reps * 0.05 + 4 * np.sqrt(reps * 0.05)
    assert small > 0.95 * reps


def test_equivalence_needs_both_limits_strictly_inside() -> None:
    assert equivalent(Interval(0.0, -0.09, 0.09), 0.1)
    assert not equivalent(Interval(0.0, -0.1, 0.05), 0.1)
    assert not equivalent(Interval(0.0, -0.05, 0.1), 0.1)
    assert not equivalent(Interval(float("nan"), -1.0, 1.0), 0.1)


def test_tost_of_constant_differences() -> None:
    assert tost(np.full(5, 0.25), 0.5) == 0.0
    assert tost(np.full(5, 0.5), 0.5) == 1.0
    assert tost(np.full(5, -0.75), 0.5) == 1.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: mcnemar(-1, 2),
        lambda: mcnemar(1, 2, "both"),  # type: ignore[arg-type]
        lambda: holm(np.array([0.5, 1.1])),
        lambda: holm(np.array([0.5, np.nan])),
        lambda: equivalent(Interval(0.0, -0.1, 0.1), 0.0),
        lambda: tost(np.array([1.0]), 0.1),
        lambda: tost(np.array([1.0, np.nan]), 0.1),
        lambda: tost(np.array([1.0, 2.0]), -0.1),
    ],
)
def test_bad_values_are_named(call: Callable[[], object]) -> None:
    with pytest.raises(BadValue, match="allowed"):
        call()
