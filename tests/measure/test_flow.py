"""Support flow: the published metrics, their limits, and placebo corrections that are exactly 0 without an effect."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reachlab import FloatArray, IntArray
from reachlab.errors import BadValue
from reachlab.measure.flow import (
    Counts,
    Flow,
    corrected_at,
    corrected_by_rerun,
    flow_sweep,
    net_flow,
    placebo_share,
    support_flow,
)
from reachlab.measure.intervals import Interval, clopper_pearson

counts = st.integers(0, 40)


def binomial(n: int, p: Fraction) -> list[Fraction]:
    return [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]


def one_task(n: int, c: int) -> Counts:
    return np.array([n]), np.array([c])


# ---------------------------------------------------------------------------------------------------- counts, metrics


def test_the_four_kinds_of_task() -> None:
    n = np.full(6, 4)
    base, arm = np.array([0, 0, 2, 3, 1, 0]), np.array([0, 1, 0, 4, 1, 2])
    assert support_flow((n, base), (n, arm)) == Flow(preserved=2, expanded=2, shrunk=1, out=1)


def test_membership_is_more_than_eps_of_the_attempts() -> None:
    n, base, arm = np.array([10, 10, 20]), np.array([1, 3, 2]), np.array([3, 3, 3])
    sweep = flow_sweep((n, base), (n, arm), [0.0, 0.1, 0.15, 0.3])
    assert sweep[0.0] == Flow(3, 0, 0, 0)
    assert sweep[0.1] == Flow(1, 2, 0, 0)  # one of ten is not more than a tenth
    assert sweep[0.15] == Flow(1, 1, 0, 1)
    assert sweep[0.3] == Flow(0, 0, 0, 3)


@given(counts, counts, counts, counts)
@settings(max_examples=60, deadline=None)
def test_metrics_are_the_published_ratios(p: int, e: int, s: int, o: int) -> None:
    """Definition 3.3 of arXiv 2507.14843, in rationals, with its own closed form of SDS."""
    flow = Flow(p, e, s, o)

    def agrees(found: Interval, top: int, bottom: int, least: float = 0.0) -> None:
        if bottom == 0:
            assert math.isnan(found.value) and (found.low, found.high) == (least, 1.0)
        else:
            assert found.value == pytest.approx(float(Fraction(top, bottom)), abs=1e-12)
            assert least <= found.low <= found.value + 1e-9 and found.value - 1e-9 <= found.high <= 1

    agrees(flow.srr(0.025), p, p + s)
    agrees(flow.ndr(0.025), e, p + e)
    agrees(flow.nscr(0.025), e - s, p + e + s, -1.0)
    agrees(flow.net(0.025), e - s, p + e + s + o, -1.0)
    if p + s and p + e:
        agrees(flow.sds(0.025), 2 * p * e, p * p + 2 * p * e + e * s)
    else:
        assert math.isnan(flow.sds(0.025).value) and flow.sds(0.025).high == 1.0
    assert flow.tasks == p + e + s + o


def test_limits_of_srr_and_ndr_are_exact() -> None:
    flow, alpha = Flow(30, 3, 5, 12), 0.025
    for found, c, n in ((flow.srr(alpha), 30, 35), (flow.ndr(alpha), 3, 33)):
        assert stats.binom.sf(c - 1, n, found.low) == pytest.approx(alpha)
        assert stats.binom.cdf(c, n, found.high) == pytest.approx(alpha)
    assert flow.p_value("greater") == pytest.approx(stats.binomtest(3, 8, 0.5, "greater").pvalue)


def test_without_loss_the_net_limits_are_clopper_pearson() -> None:
    found, exact = net_flow(7, 0, 50, 0.025), clopper_pearson(7, 50, 0.025)
    assert found.high == pytest.approx(exact.high, rel=1e-6)
    assert found.low < exact.low  # tasks may be lost too, though none was seen


def test_metric_limits_cover_what_tasks_are_drawn_from() -> None:
    rng, alpha, reps = np.random.default_rng(0), 0.05, 250
    p, e, s, o = 0.5, 0.2, 0.1, 0.2
    true = {"srr": p / (p + s), "ndr": e / (p + e), "sds": 2 * p * e / (p * p + 2 * p * e + e * s)}
    true |= {"nscr": (e - s) / (p + e + s), "net": e - s}
    misses = {(name, side): 0 for name in true for side in ("low", "high")}
    for draw in rng.multinomial(60, [p, e, s, o], reps).tolist():
        flow = Flow(*draw)
        for name, value in true.items():
            found = getattr(flow, name)(alpha)
            misses[name, "low"] += found.low > value
            misses[name, "high"] += found.high < value
    assert max(misses.values()) <= reps * alpha + 3 * np.sqrt(reps * alpha)


# ----------------------------------------------------------------------------------------------------------- placebos


@pytest.mark.parametrize(("n", "k"), [(2, 1), (5, 2), (6, 3)])
def test_placebo_share_by_all_pairs_of_runs(n: int, k: int) -> None:
    """Among n attempts, all ways to choose k that play the base and k others that play the second run."""
    for c in range(n + 1):
        newly = total = 0
        for first in itertools.combinations(range(n), k):
            rest = [i for i in range(n) if i not in first]
            for second in itertools.combinations(rest, k):
                total += 1
                newly += min(first) >= c > min(second)  # attempts 0..c-1 succeed
        found = placebo_share(one_task(n, c), k, 0.025)
        assert found.value == pytest.approx(newly / total, abs=1e-12)
        assert 0 <= found.low <= found.value <= found.high + 1e-9 <= 0.5 + 2e-9


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize(("p0", "p1"), [(Fraction(1, 5), Fraction(1, 5)), (Fraction(1, 10), Fraction(3, 5))])
def test_correction_at_k_has_no_bias(k: int, p0: Fraction, p1: Fraction) -> None:
    """Exact expectation over both binomials: q0^k (q0^k - q1^k) gained, and lost with the same placebo."""
    n0, n1 = 5, 3
    gained = lost = 0.0
    for (c0, w0), (c1, w1) in itertools.product(enumerate(binomial(n0, p0)), enumerate(binomial(n1, p1))):
        found = corrected_at(one_task(n0, c0), one_task(n1, c1), k, 0.025)
        gained += float(w0 * w1) * found.expanded.value
        lost += float(w0 * w1) * found.shrunk.value
    miss0, miss1 = (1 - p0) ** k, (1 - p1) ** k
    assert gained == pytest.approx(float(miss0 * (miss0 - miss1)), abs=1e-12)
    assert lost == pytest.approx(float((1 - miss0) * miss1 - miss0 * (1 - miss0)), abs=1e-12)


@pytest.mark.parametrize("eps", [0.0, 0.4])
@pytest.mark.parametrize(("p0", "p1"), [(Fraction(1, 4), Fraction(1, 4)), (Fraction(1, 10), Fraction(1, 2))])
def test_correction_by_a_second_run_has_no_bias(p0: Fraction, p1: Fraction, eps: float) -> None:
    """Every outcome of the three runs: expectation P(out) (P(arm in) - P(base in)), 0 without an effect."""
    n = 3
    in0, in1 = (float(sum(w for c, w in enumerate(binomial(n, p)) if c / n > eps)) for p in (p0, p1))
    gained = lost = 0.0
    for a, b, c in itertools.product(range(n + 1), repeat=3):
        weight = float(binomial(n, p0)[a] * binomial(n, p0)[b] * binomial(n, p1)[c])
        found = corrected_by_rerun(one_task(n, a), one_task(n, b), one_task(n, c), 0.025, eps)
        gained += weight * found.expanded.value
        lost += weight * found.shrunk.value
    assert gained == pytest.approx((1 - in0) * (in1 - in0), abs=1e-12)
    assert lost == pytest.approx(in0 * (in0 - in1), abs=1e-12)


def runs(rng: np.random.Generator, p: FloatArray, n: int, times: int) -> list[Counts]:
    return [(np.full(p.size, n), rng.binomial(n, p)) for _ in range(times)]


def test_an_arm_that_is_the_base_expands_only_without_correction() -> None:
    """100 tasks at p = .05, 16 attempts: a quarter 'expand' every time, and the corrected limits hold 0."""
    rng, alpha, reps, misses = np.random.default_rng(1), 0.05, 100, np.zeros(6)
    p = np.full(100, 0.05)
    for _ in range(reps):
        base, rerun, arm = runs(rng, p, 16, 3)
        flow = support_flow(base, arm)
        assert flow.expanded > 8
        at, by = corrected_at(base, arm, 8, alpha), corrected_by_rerun(base, rerun, arm, alpha)
        limits = [at.expanded, at.shrunk, by.expanded, by.shrunk, flow.net(alpha)]
        misses += [*((v.low > 0) + (v.high < 0) for v in limits), flow.p_value() <= 2 * alpha]
    assert misses.max() <= 2 * reps * alpha + 4 * np.sqrt(2 * reps * alpha)


def test_a_true_expansion_survives_every_correction() -> None:
    rng = np.random.default_rng(2)
    p0, p1 = np.repeat([0.0, 0.5], [60, 40]), np.repeat([0.0, 0.4, 0.5], [40, 20, 40])
    base, rerun = runs(rng, p0, 16, 2)
    (arm,) = runs(rng, p1, 16, 1)
    for corrected in (corrected_at(base, arm, 8, 0.001), corrected_by_rerun(base, rerun, arm, 0.001)):
        assert corrected.expanded.low > 0.03 and corrected.expanded.value == pytest.approx(0.2, abs=0.02)
        assert corrected.shrunk.low < 0.01 < corrected.shrunk.high
    assert support_flow(base, arm).p_value("greater") < 1e-5


def test_gain_less_loss_is_the_difference_of_pass_at_k() -> None:
    rng = np.random.default_rng(3)
    (base,), (arm,) = runs(rng, rng.random(30), 12, 1), runs(rng, rng.random(30), 9, 1)
    found = corrected_at(base, arm, 1, 0.025)
    assert found.expanded.value - found.shrunk.value == pytest.approx(np.mean(arm[1] / 9 - base[1] / 12), abs=1e-12)


def pair(n: list[int], c: list[int]) -> tuple[IntArray, IntArray]:
    return np.array(n), np.array(c)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Flow(1, -1, 0, 0),
        lambda: Flow(5, 1, 1, 1).sds(0.6),
        lambda: net_flow(3, 3, 5, 0.025),
        lambda: support_flow(pair([4], [1]), pair([8], [1])),
        lambda: support_flow(pair([4, 4], [1, 1]), pair([4], [1])),
        lambda: support_flow(pair([0], [0]), pair([0], [0])),
        lambda: support_flow(pair([4], [5]), pair([4], [1])),
        lambda: support_flow(pair([4], [1]), pair([4], [1]), eps=1.0),
        lambda: corrected_by_rerun(pair([4], [1]), pair([8], [1]), pair([4], [1]), 0.025),
        lambda: placebo_share(pair([5], [1]), 3, 0.025),
        lambda: corrected_at(pair([4], [1]), pair([1], [1]), 2, 0.025),
        lambda: corrected_at(pair([4, 4], [1, 1]), pair([4], [1]), 2, 0.025),
    ],
)
def test_bad_values_are_named(call: Callable[[], object]) -> None:
    with pytest.raises(BadValue, match="allowed"):
        call()
