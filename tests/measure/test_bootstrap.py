"""The paired hierarchical bootstrap against enumeration of all resamples, SciPy, and simulated coverage."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from reachlab import FloatArray
from reachlab.errors import BadValue
from reachlab.measure import bootstrap
from reachlab.measure.bootstrap import paired_bootstrap

ARM = np.array([[0.9, 0.2, 0.6], [0.5, 0.1, 0.7]])
BASE = np.array([[0.3, 0.15, 0.1]])


def every_resample(arm: FloatArray, base: FloatArray) -> FloatArray:
    """All equally likely contrasts: tasks common to both arms, seeds drawn within each."""
    out = []
    for tasks in itertools.product(range(arm.shape[1]), repeat=arm.shape[1]):
        for one in itertools.product(range(arm.shape[0]), repeat=arm.shape[0]):
            for other in itertools.product(range(base.shape[0]), repeat=base.shape[0]):
                out.append(arm[np.ix_(one, tasks)].mean() - base[np.ix_(other, tasks)].mean())
    return np.sort(out)


@pytest.mark.parametrize("base", [BASE, BASE + np.array([[0.0], [0.05]])])
@pytest.mark.parametrize("alpha", [0.025, 0.13, 0.3])
def test_limits_are_quantiles_of_all_resamples(base: FloatArray, alpha: float) -> None:
    exact = every_resample(ARM, base)
    found = paired_bootstrap(ARM, base, alpha, 20_000, np.random.default_rng(0))
    assert found.value == pytest.approx(ARM.mean() - base.mean())
    slack = 4 * np.sqrt(alpha / 20_000)  # sampling error of a tail probability
    for limit, tail in ((found.low, np.mean(exact <= found.low)), (found.high, np.mean(exact >= found.high))):
        ties = np.mean(np.isclose(exact, limit, atol=1e-9))
        assert alpha - slack <= tail + 1e-12 and tail - ties <= alpha + slack


def test_one_seed_is_scipys_paired_bootstrap() -> None:
    rng = np.random.default_rng(1)
    arm, base = rng.random((1, 40)), rng.random((1, 40))
    found = paired_bootstrap(arm, base, 0.05, 20_000, np.random.default_rng(2))
    reference = stats.bootstrap(
        (arm[0] - base[0],), np.mean, confidence_level=0.9, n_resamples=20_000, method="percentile", rng=3
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(reference), abs=0.004)


def test_pairing_takes_out_what_the_arms_share() -> None:
    """Tasks of very unlike difficulty, the arm better by .1 at each: nothing is left to vary."""
    base = np.linspace(0.0, 0.9, 30)[None]
    found = paired_bootstrap(base + 0.1, base, 0.01, 2000, np.random.default_rng(4))
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))


def test_seeds_count_even_where_all_tasks_agree() -> None:
    arm = np.array([[0.2], [0.5], [0.8]]) + np.zeros((3, 50))
    found = paired_bootstrap(arm, np.zeros((1, 50)), 0.025, 5000, np.random.default_rng(5))
    assert (found.low, found.high) == pytest.approx((0.2, 0.8))  # 3 seeds: their range, 1/27 > .025


def test_coverage_with_many_tasks_and_seeds_and_its_loss_with_three() -> None:
    """Nominal 90 %. The seed spread dominates: 20 seeds keep it, 3 do not (their range covers 3/4)."""
    rng, reps = np.random.default_rng(6), 300
    covered = {20: 0, 3: 0}
    for seeds in covered:
        for _ in range(reps):
            tasks, spread = rng.normal(0.3, 0.1, 40), rng.normal(0.0, 0.1, (seeds, 1))
            arm = tasks + spread + rng.normal(0.0, 0.05, (seeds, 40))
            found = paired_bootstrap(arm, np.zeros((1, 40)), 0.05, 200, rng)
            covered[seeds] += found.low <= 0.3 <= found.high
    assert covered[20] / reps > 0.9 - 4 * np.sqrt(0.09 / reps)
    assert covered[3] / reps < 0.8


def test_small_chunks_bound_memory_and_give_the_same_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    arm, base = rng.random((3, 200)), rng.random((2, 200))
    whole = paired_bootstrap(arm, base, 0.05, 5000, np.random.default_rng(8))
    monkeypatch.setattr(bootstrap, "CHUNK_BYTES", 1_000_000)
    tracemalloc.start()
    parts = paired_bootstrap(arm, base, 0.05, 5000, np.random.default_rng(8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=0.005)
    assert peak < 2_000_000  # at once it would be 32 MB


def test_same_generator_same_limits() -> None:
    first, second = (paired_bootstrap(ARM, BASE, 0.05, 500, np.random.default_rng(9)) for _ in range(2))
    assert first == second


def test_tasks_that_a_row_lacks_are_left_out() -> None:
    arm = np.column_stack([ARM, [0.9, np.nan]])
    base = np.column_stack([BASE, [0.0]])
    with_gap = paired_bootstrap(arm, base, 0.05, 500, np.random.default_rng(10))
    assert with_gap == paired_bootstrap(ARM, BASE, 0.05, 500, np.random.default_rng(10))


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: paired_bootstrap(ARM, BASE, 0.001, 9999, rng),
        lambda rng: paired_bootstrap(ARM, BASE, 0.5, 1000, rng),
        lambda rng: paired_bootstrap(ARM, BASE[:, :2], 0.05, 1000, rng),
        lambda rng: paired_bootstrap(ARM[0], BASE[0], 0.05, 1000, rng),
        lambda rng: paired_bootstrap(ARM[:0], BASE, 0.05, 1000, rng),
        lambda rng: paired_bootstrap(ARM * np.nan, BASE, 0.05, 1000, rng),
    ],
)
def test_bad_values_are_named(call: Callable[[np.random.Generator], object]) -> None:
    with pytest.raises(BadValue, match="allowed"):
        call(np.random.default_rng(0))
