"""Limits over a population of tasks: duality, what the limits solve, and coverage where hard tasks are unlike."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reachlab import FloatArray
from reachlab.measure import best_of, required_nats, tilt, tilt_kl
from reachlab.measure.dual import (
    above_best_of,
    equivalent_k_limits,
    log_partition,
    required_limits,
    surplus_limits,
)

UNLIKE = np.repeat([1e-4, 1e-5, 1e-6], 1000)
probabilities = st.lists(st.floats(1e-9, 0.999), min_size=1, max_size=12).map(np.array)


@given(probabilities, st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_required_nats_are_the_highest_tangent(p0: FloatArray, up: float) -> None:
    """D(p) = sup_lam lam p - mean log partition, by brute force over a grid of tilts."""
    p = float(p0.mean() + up * (1 - p0.mean()))
    lams = np.linspace(0, 60, 6001)
    tangents = [lam * p - float(log_partition(p0, lam).mean()) for lam in lams.tolist()]
    assert max(tangents) <= required_nats(p0, p) + 1e-9
    if tangents.index(max(tangents)) < 6000:
        assert max(tangents) == pytest.approx(required_nats(p0, p), abs=2e-4)


def test_log_partition_is_the_logarithm_of_the_mean() -> None:
    p0 = np.array([0.0, 1e-8, 0.3, 1.0])
    assert log_partition(p0, 2.0) == pytest.approx(np.log(1 - p0 + p0 * np.exp(2.0)))
    assert np.isfinite(log_partition(p0, 745.0)).all()


def sample(rng: np.random.Generator, tasks: int = 150, lam: float = 13.0) -> tuple[FloatArray, FloatArray, FloatArray]:
    """p0, rates (1, N) and paid nats (1, N) of tasks drawn from the population, every task on its tilt."""
    p0 = rng.choice(UNLIKE, tasks)
    rates = rng.binomial(16, tilt(p0, lam))[None] / 16
    return p0, rates, tilt_kl(p0, lam)[None] * rng.uniform(0.5, 1.0, (1, tasks))


def test_limits_cover_the_population_and_plain_ones_do_not() -> None:
    """A tool helps all tasks alike, whatever their p0: the drawn p0 taken for the population's miss one time in ten."""
    rng, missed, plain = np.random.default_rng(0), np.zeros(4), 0
    need, paid = required_nats(UNLIKE, 0.95), 1.0
    for _ in range(400):
        p0 = rng.choice(UNLIKE, 150)
        rates, spent = rng.binomial(16, 0.95, (1, 150)) / 16, rng.uniform(0.5, 1.5, (1, 150))
        found, above = required_limits(p0, rates, 0.025, 7e-4), surplus_limits(p0, rates, spent, 0.025, 7e-4)
        missed += [found.low > need, found.high < need, above.low > need - paid, above.high < need - paid]
        half = 1.96 * float(rates.std()) / math.sqrt(p0.size)
        ends = [required_nats(p0, min(max(float(rates.mean()) + side, 0.0), 1.0)) for side in (-half, half)]
        plain += not ends[0] <= need <= ends[1]
    assert np.all(missed <= 400 * 0.045)
    assert plain > 400 * 0.10


def test_surplus_is_one_paired_mean() -> None:
    """Tasks whose price varies with their need: paired, the limits are closer than those of two separate means."""
    p0, rates, _ = sample(np.random.default_rng(1))
    spent = log_partition(p0, 13.0)[None] * -1.0 + 13.0 * tilt(p0, 13.0)[None] - 3.0
    spent = np.maximum(spent, 0.0)
    need, above = required_limits(p0, rates, 0.025, 7e-4), surplus_limits(p0, rates, spent, 0.025, 7e-4)
    assert above.value == pytest.approx(need.value - float(spent.mean()))
    assert above.low <= above.value <= above.high


def test_limits_are_ordered_and_tighten_with_tasks() -> None:
    widths = []
    for tasks in (60, 600):
        p0, rates, spent = sample(np.random.default_rng(2), tasks)
        for found in (required_limits(p0, rates, 0.025), surplus_limits(p0, rates, spent, 0.025)):
            assert found.low <= found.value <= found.high
        widths.append(found.high - found.low)
    assert widths[1] < 0.5 * widths[0]


def test_an_arm_without_success_requires_nothing() -> None:
    found = required_limits(np.full(50, 1e-4), np.zeros((1, 50)), 0.025, 7e-4)
    assert found.value == found.low == 0.0
    assert required_limits(np.array([]), np.zeros((1, 0)), 0.025).high == math.inf


def test_tasks_never_scored_are_left_out() -> None:
    p0, rates, spent = sample(np.random.default_rng(3), 40)
    holes = rates.copy()
    holes[0, :5] = np.nan
    kept = required_limits(p0[5:], rates[:, 5:], 0.01)
    assert required_limits(p0, holes, 0.01) == kept
    assert surplus_limits(p0, holes, spent, 0.01) == surplus_limits(p0[5:], rates[:, 5:], spent[:, 5:], 0.01)


def test_equivalent_k_stops_where_the_paired_difference_stops_being_clear() -> None:
    p0, rates, _ = sample(np.random.default_rng(4))
    found = equivalent_k_limits(p0, rates, 0.025, 7e-4)
    assert float(best_of(p0, found.value).mean()) == pytest.approx(float(rates.mean()), rel=1e-6)
    assert found.low < found.value < found.high
    assert above_best_of(p0, rates, found.low, 0.025, 7e-4).low == pytest.approx(0, abs=1e-3)
    assert above_best_of(p0, rates, found.high, 0.025, 7e-4).high == pytest.approx(0, abs=1e-3)


def test_equivalent_k_at_the_ends() -> None:
    p0 = np.full(80, 1e-3)
    certain = equivalent_k_limits(p0, np.ones((1, 80)), 0.025)
    assert certain.value == math.inf and 1 < certain.low < math.inf
    never = equivalent_k_limits(p0, np.zeros((1, 80)), 0.025)
    assert never.value == 0 and never.low == 0 and never.high < 1 / 1e-3


def test_training_runs_widen_every_limit() -> None:
    rng = np.random.default_rng(5)
    p0 = np.full(200, 1e-4)
    rows = np.stack([rng.binomial(16, p, 200) / 16 for p in (0.5, 0.7, 0.9)])
    one, several = required_limits(p0, rows[1:2], 0.025), required_limits(p0, rows, 0.025)
    assert several.low < one.low and several.high > one.high
    paid = np.ones_like(rows)
    assert surplus_limits(p0, rows, paid, 0.025).low < surplus_limits(p0, rows[1:2], paid[1:2], 0.025).low
