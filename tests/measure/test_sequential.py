"""Anytime-valid limits: exact crossing probabilities by enumeration, mpmath, optional stopping, and allocation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reachlab import IntArray
from reachlab.errors import BadValue
from reachlab.measure.intervals import clopper_pearson
from reachlab.measure.records import Mask
from reachlab.measure.sequential import (
    Access,
    allocate,
    attempts_to_decide,
    classify,
    confidence_sequence,
    log_e_value,
)

Side = Literal["above", "below"]
K_ACC = 6.9e-4
"""The threshold of a thousand attempts."""


def ints(*values: int) -> IntArray:
    return np.array(values, np.int64)


def slow_e_value(n: int, c: int, t: float, side: Side) -> float:
    """The mixture integral itself, in q = sin^2 x, where Jeffreys' density is uniform."""
    with mpmath.workdps(25):
        cut = mpmath.asin(mpmath.sqrt(mpmath.mpf(t)))
        end = mpmath.pi / 2 if side == "above" else mpmath.mpf(0)
        nodes = [cut + (end - cut) * mpmath.mpf(2) ** -k for k in range(14)]

        def ratio(x: mpmath.mpf) -> mpmath.mpf:
            q = mpmath.sin(x) ** 2
            return (q / t) ** c * ((1 - q) / (1 - mpmath.mpf(t))) ** (n - c)

        return float(mpmath.quad(ratio, [cut, *nodes[::-1]]) / (end - cut))


@pytest.mark.parametrize("t", [0.3, 0.083, K_ACC])
@pytest.mark.parametrize(("n", "c"), [(0, 0), (1, 1), (5, 0), (40, 3), (60, 60), (800, 2)])
@pytest.mark.parametrize("side", ["above", "below"])
def test_e_value_is_the_mixture_integral(n: int, c: int, t: float, side: Side) -> None:
    exact = slow_e_value(n, c, t, side)
    assert log_e_value(ints(n), ints(c), t, side)[0] == pytest.approx(math.log(exact), rel=1e-8, abs=1e-8)


@given(st.integers(0, 400), st.floats(0, 1), st.floats(1e-4, 0.9), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_e_value_is_a_supermartingale(n: int, share: float, t: float, lower: float) -> None:
    """One more attempt, exactly: the mean factor is 1 at t and at most 1 at every probability below it."""
    c = round(share * n)
    now, hit, miss = log_e_value(ints(n, n + 1, n + 1), ints(c, c + 1, c), t, "above")
    if now < -500:
        return  # underflow, far on the other side
    for p in (t, lower * t):
        assert p * math.exp(hit - now) + (1 - p) * math.exp(miss - now) <= 1 + 1e-8
    assert t * math.exp(hit - now) + (1 - t) * math.exp(miss - now) == pytest.approx(1, rel=1e-8)


def ever_crossed(p: float, crossed: Callable[[IntArray, IntArray], Mask], most: int) -> float:
    """Exact probability that some n <= *most* has a crossed (n, c), by enumeration of the counts of paths."""
    alive, total = np.ones(1), 0.0
    for n in range(1, most + 1):
        alive = np.r_[alive, 0.0] * (1 - p) + np.r_[0.0, alive] * p
        hit = np.asarray(crossed(np.full(n + 1, n), np.arange(n + 1)))
        total += float(alive[hit].sum())
        alive = np.where(hit, 0.0, alive)
    return total


@pytest.mark.parametrize(("p", "alpha"), [(0.5, 0.05), (0.3, 0.025), (0.05, 0.05), (0.02, 0.001)])
def test_wrong_at_some_number_of_attempts_at_most_alpha(p: float, alpha: float) -> None:
    bar = -math.log(alpha)
    above = ever_crossed(p, lambda n, c: log_e_value(n, c, p, "above") >= bar, 400)
    below = ever_crossed(p, lambda n, c: log_e_value(n, c, p, "below") >= bar, 400)
    assert 0.1 * alpha < above <= alpha
    assert below <= alpha


def test_clopper_pearson_looked_at_often_is_wrong_too_often() -> None:
    """Why fixed-n limits are not enough: the same question, asked after each of 400 attempts."""
    excluded = ever_crossed(0.3, lambda n, c: stats.binom.sf(c - 1, n, 0.3) < 0.025, 400)
    assert excluded > 4 * 0.025


def test_null_below_the_threshold_is_safer_still() -> None:
    bar = -math.log(0.05)
    chances = [ever_crossed(p, lambda n, c: log_e_value(n, c, 0.3, "above") >= bar, 200) for p in (0.3, 0.25, 0.1)]
    assert chances == sorted(chances, reverse=True)


def test_optional_stopping_on_long_paths() -> None:
    """Four thousand paths watched to a hundred thousand attempts: the worst look at each of them."""
    rng, p, alpha, paths = np.random.default_rng(1), 0.083, 0.025, 4000
    looks = np.unique(np.geomspace(8, 100_000, 45).astype(int))
    hits = np.cumsum([rng.binomial(step, p, paths) for step in np.diff(looks, prepend=0)], axis=0)
    low, high = np.zeros(paths, bool), np.zeros(paths, bool)
    fixed = np.zeros(paths, bool)
    for n, c in zip(looks.tolist(), hits, strict=True):
        limits = confidence_sequence(np.full(paths, n), c, alpha)
        low |= limits.low > p
        high |= limits.high < p
        fixed |= stats.binom.sf(c - 1, n, p) < alpha
    assert max(low.mean(), high.mean()) <= alpha
    assert fixed.mean() > 3 * alpha


@given(st.integers(0, 100_000), st.floats(0, 1), st.sampled_from([0.1, 0.025, 0.001, 1e-6]))
@settings(max_examples=60, deadline=None)
def test_limits_are_the_roots_of_the_e_values(n: int, share: float, alpha: float) -> None:
    c = round(share * n)
    (low,), (high,) = confidence_sequence(ints(n), ints(c), alpha)
    assert low <= c / max(n, 1) <= high or n == 0
    assert (low == 0) == (c == 0)
    assert (high == 1) == (c == n)
    if 1e-9 < low < 1 - 1e-9:
        assert log_e_value(ints(n), ints(c), low, "above")[0] == pytest.approx(-math.log(alpha), abs=1e-4)
    if 1e-9 < high < 1 - 1e-9:
        assert log_e_value(ints(n), ints(c), high, "below")[0] == pytest.approx(-math.log(alpha), abs=1e-4)


@given(st.integers(0, 2000), st.floats(0, 1), st.lists(st.floats(1e-6, 1 - 1e-6), min_size=2, max_size=2))
@settings(max_examples=100, deadline=None)
def test_evidence_falls_as_more_is_claimed(n: int, share: float, claims: list[float]) -> None:
    """What makes the limits an interval: the e-value above p falls in p, the one below rises."""
    c = round(share * n)
    less, more = sorted(claims)
    above = [log_e_value(ints(n), ints(c), p, "above")[0] for p in (less, more)]
    below = [log_e_value(ints(n), ints(c), p, "below")[0] for p in (less, more)]
    assert above[1] <= above[0] + 1e-8 or above[0] < -500
    assert below[0] <= below[1] + 1e-8 or below[1] < -500


@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.1, 0.025, 0.001]))
@settings(max_examples=40, deadline=None)
def test_limits_are_wider_than_those_for_one_look(n: int, share: float, alpha: float) -> None:
    c = round(share * n)
    (low,), (high,) = confidence_sequence(ints(n), ints(c), alpha)
    once = clopper_pearson(c, n, alpha)
    assert low <= once.low and once.high <= high


def test_limits_of_many_tasks_are_those_of_each() -> None:
    n, c = ints(16, 0, 16, 1000, 16), ints(3, 0, 3, 999, 16)
    together = confidence_sequence(n, c, 0.025)
    alone = [confidence_sequence(n[i : i + 1], c[i : i + 1], 0.025) for i in range(5)]
    assert together.low.tolist() == [float(a.low[0]) for a in alone]
    assert together.high.tolist() == [float(a.high[0]) for a in alone]
    assert (together.low[1], together.high[1]) == (0.0, 1.0)


@given(st.integers(0, 5000), st.floats(0, 0.05), st.sampled_from([0.083, 0.01, K_ACC]))
@settings(max_examples=60, deadline=None)
def test_classes_follow_the_limits(n: int, share: float, t: float) -> None:
    c = round(share * n)
    (low,), (high,) = confidence_sequence(ints(n), ints(c), 0.025)
    expected = Access.ACCESSIBLE if low > t else Access.INACCESSIBLE if high < t else Access.UNDECIDED
    assert classify(ints(n), ints(c), t, 0.025)[0] == expected


def test_price_of_looking_at_any_time() -> None:
    """No success at all: how many attempts show p < t, in units of 1/t (module docstring)."""
    fixed = math.log(0.025) / math.log1p(-K_ACC) * K_ACC
    assert fixed == pytest.approx(3.7, abs=0.02)
    assert classify(ints(int(4.5 / K_ACC), int(4.6 / K_ACC)), ints(0, 0), K_ACC, 0.025).tolist() == [0, -1]


def test_decisions_on_clear_and_unclear_tasks() -> None:
    n, c = ints(0, 50, 200, 200, 200), ints(0, 25, 0, 17, 60)
    assert classify(n, c, 0.083, 0.001).tolist() == [0, 1, -1, 0, 1]


def test_allocation_is_shortest_job_first() -> None:
    n, c = ints(3, 2, 40, 200, 40), ints(2, 2, 0, 0, 3)
    need = attempts_to_decide(n, c, 0.083, 0.025)
    assert need[1] == 0 and need[3] == 0  # decided
    assert need[0] < need[2] < need[4]  # two of three hits; no hit for a while; next to t
    assert allocate(n, c, 0.083, int(need[0]) + 3, 0.025).tolist() == [need[0], 0, 3, 0, 0]
    plenty = allocate(n, c, 0.083, 10_000, 0.025)
    assert plenty.sum() == 10_000
    assert plenty[[1, 3]].tolist() == [0, 0]
    assert np.all(plenty[[0, 2, 4]] >= np.minimum(need[[0, 2, 4]], 1000))


@given(
    st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1)), min_size=1, max_size=12),
    st.integers(0, 5000),
    st.sampled_from([0.083, K_ACC]),
)
@settings(max_examples=100, deadline=None)
def test_allocation_spends_the_budget_on_undecided_tasks(tasks: list[tuple[int, float]], budget: int, t: float) -> None:
    n = ints(*(m for m, _ in tasks))
    c = ints(*(round(share * m) for m, share in tasks))
    extra, undecided = allocate(n, c, t, budget, 0.025), classify(n, c, t, 0.025) == Access.UNDECIDED
    assert extra.dtype == np.int64
    assert np.all(extra >= 0) and np.all(extra[~undecided] == 0)
    assert extra.sum() == (budget if undecided.any() else 0)
    assert allocate(n, c, t, budget, 0.025).tolist() == extra.tolist()


def test_equal_tasks_share_equally() -> None:
    assert allocate(ints(0, 0, 0, 0), ints(0, 0, 0, 0), 0.083, 11, 0.025).sum() == 11
    alike = allocate(np.zeros(4, np.int64), np.zeros(4, np.int64), 0.083, 4000, 0.025)
    assert alike.tolist() == [1000] * 4


def study(t: float, per_task: int, rounds: int, adaptive: bool, rng: np.random.Generator) -> tuple[int, int]:
    """(decided, wrongly decided) of 120 tasks: four in ten impossible, the rest log-uniform around t and up to 1."""
    p = np.where(rng.random(120) < 0.4, 0.0, 10 ** rng.uniform(math.log10(t) - 1.5, 0, 120))
    n = np.full(120, 16, np.int64)
    c = rng.binomial(16, p)
    for _ in range(rounds):
        budget = 120 * (per_task - 16) // rounds
        extra = allocate(n, c, t, budget, 0.025) if adaptive else np.full(120, budget // 120)
        n, c = n + extra, c + rng.binomial(extra, p)
    called = classify(n, c, t, 0.025)
    wrong = ((called == Access.ACCESSIBLE) & (p < t)) | ((called == Access.INACCESSIBLE) & (p >= t))
    return int(np.sum(called != Access.UNDECIDED)), int(wrong.sum())


@pytest.mark.parametrize(("t", "per_task", "gain"), [(K_ACC, 3000, 1.5), (0.083, 40, 1.1)])
def test_adaptive_allocation_decides_more_for_the_same_budget(t: float, per_task: int, gain: float) -> None:
    rng = np.random.default_rng(4)
    adaptive = np.array([study(t, per_task, 30, True, rng) for _ in range(10)])
    uniform = np.array([study(t, per_task, 1, False, rng) for _ in range(10)])
    assert adaptive[:, 0].mean() > gain * uniform[:, 0].mean()
    # Tasks are wrong independently with at most alpha each: mean plus four standard errors over 1,200 tasks.
    assert adaptive[:, 1].sum() <= 1200 * 0.025 + 4 * math.sqrt(1200 * 0.025)


@pytest.mark.parametrize(
    "call",
    [
        lambda: confidence_sequence(ints(3), ints(4), 0.025),
        lambda: confidence_sequence(ints(3), ints(-1), 0.025),
        lambda: confidence_sequence(ints(3, 4), ints(1), 0.025),
        lambda: confidence_sequence(ints(3), ints(1), 0.5),
        lambda: log_e_value(ints(3), ints(1), 0.0, "above"),
        lambda: classify(ints(3), ints(1), 1.0, 0.025),
        lambda: classify(ints(3), ints(1), 0.1, 0.0),
        lambda: allocate(ints(3), ints(1), 0.1, -1, 0.025),
        lambda: allocate(ints(3), ints(1), 0.1, True, 0.025),
        lambda: attempts_to_decide(ints(3), ints(1), 0.1, 1.0),
    ],
)
def test_bad_values_are_named(call: Callable[[], object]) -> None:
    with pytest.raises(BadValue, match="allowed"):
        call()
