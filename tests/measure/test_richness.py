"""Richness against enumeration of samples and subsets, exact fractions, and simulated coverage."""

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

from reachlab import FloatArray
from reachlab.errors import BadValue
from reachlab.measure.intervals import clopper_pearson
from reachlab.measure.richness import chao1, compare_richness, rarefied, rarefied_singletons, unseen_mass

abundance_vectors = st.lists(st.integers(0, 30), min_size=1, max_size=12).filter(lambda x: sum(x) > 0)


def exact_rarefied(abundances: list[int], m: int) -> Fraction:
    n = sum(abundances)
    return sum((1 - Fraction(math.comb(n - x, m), math.comb(n, m)) for x in abundances), Fraction(0))


@pytest.mark.parametrize("abundances", [[3, 1, 1], [2, 2, 1, 0], [5], [1, 1, 1, 1]])
def test_rarefaction_is_the_mean_over_all_subsets_of_the_draws(abundances: list[int]) -> None:
    draws = [i for i, x in enumerate(abundances) for _ in range(x)]
    for m in range(1, len(draws) + 1):
        subsets = list(itertools.combinations(draws, m))
        assert rarefied(abundances, m) == pytest.approx(np.mean([len(set(s)) for s in subsets]), rel=1e-12)
        once = [sum(s.count(i) == 1 for i in set(s)) for s in subsets]
        assert rarefied_singletons(abundances, m) == pytest.approx(np.mean(once), rel=1e-12, abs=1e-12)


@given(abundance_vectors, st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_rarefaction_against_fractions(abundances: list[int], share: float) -> None:
    n = sum(abundances)
    m = 1 + round(share * (n - 1))
    exact = exact_rarefied(abundances, m)
    assert rarefied(abundances, m) == pytest.approx(float(exact), rel=1e-10)
    slope = m * (exact - (exact_rarefied(abundances, m - 1) if m > 1 else 0))
    assert rarefied_singletons(abundances, m) == pytest.approx(float(slope), rel=1e-10, abs=1e-10)


def test_rarefaction_keeps_its_digits_at_a_million_draws() -> None:
    abundances, m = [1, 2, 700, 999_297], 1000
    exact = exact_rarefied(abundances, m)
    assert rarefied(abundances, m) == pytest.approx(float(exact), rel=1e-7)
    assert rarefied_singletons(abundances, m) == pytest.approx(
        float(m * (exact - exact_rarefied(abundances, m - 1))), rel=1e-6
    )


def test_rarefaction_at_its_ends() -> None:
    abundances = [4, 2, 1, 1, 0]
    assert rarefied(abundances, 8) == pytest.approx(4)
    assert rarefied(abundances, 1) == pytest.approx(1)
    assert rarefied_singletons(abundances, 8) == pytest.approx(2)
    assert rarefied_singletons(abundances, 1) == pytest.approx(1)


def samples(law: list[Fraction], n: int) -> list[tuple[tuple[int, ...], Fraction]]:
    """Every vector of counts of n draws, with its multinomial probability."""
    out = []
    for counts in itertools.product(range(n + 1), repeat=len(law)):
        if sum(counts) == n:
            ways = math.factorial(n) // math.prod(map(math.factorial, counts))
            out.append((counts, ways * math.prod((p**x for p, x in zip(law, counts, strict=True)), start=Fraction(1))))
    return out


LAWS = [[Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)], [Fraction(9, 10)] + [Fraction(1, 30)] * 3]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("m", [1, 3, 5])
def test_rarefied_numbers_are_unbiased(law: list[Fraction], m: int) -> None:
    """Expectation over every sample of five draws: distinct behaviours, and singletons, in m fresh draws."""
    every = samples(law, 5)
    expected = sum(float(w) * rarefied(list(x), m) for x, w in every)
    assert expected == pytest.approx(float(sum(1 - (1 - p) ** m for p in law)), rel=1e-12)
    once = sum(float(w) * rarefied_singletons(list(x), m) for x, w in every)
    assert once == pytest.approx(float(sum(m * p * (1 - p) ** (m - 1) for p in law)), rel=1e-12)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [1, 2, 6])
def test_variance_of_richness_is_at_most_the_expected_singletons(law: list[Fraction], n: int) -> None:
    """What the limits of ``compare_richness`` rest on."""
    every = samples(law, n)
    mean = sum(w * sum(x > 0 for x in counts) for counts, w in every)
    variance = sum(w * (sum(x > 0 for x in counts) - mean) ** 2 for counts, w in every)
    assert variance <= sum(n * p * (1 - p) ** (n - 1) for p in law)


def test_chao1_against_exact_fractions() -> None:
    """Four singletons, two doubletons and one behaviour seen nine times."""
    found = chao1([1, 1, 1, 1, 2, 2, 9], 0.025)
    unseen, variance = Fraction(4 * 3, 2 * 3), Fraction(2) + Fraction(4 * 49, 4 * 9) + Fraction(16 * 2 * 9, 4 * 81)
    assert found.value == 9
    spread = math.exp(stats.norm.isf(0.025) * math.sqrt(math.log(1 + float(variance / unseen**2))))
    assert (found.low, found.high) == pytest.approx((7 + 2 / spread, 7 + 2 * spread))


def test_chao1_without_doubletons() -> None:
    found = chao1([1, 1, 1, 5], 0.025)
    variance = Fraction(3) + Fraction(3 * 25, 4) - Fraction(81, 4 * 7)
    spread = math.exp(stats.norm.isf(0.025) * math.sqrt(math.log(1 + float(variance / 9))))
    assert found.value == 7
    assert (found.low, found.high) == pytest.approx((4 + 3 / spread, 4 + 3 * spread))


@pytest.mark.parametrize("abundances", [[3, 3, 2], [1, 4, 4], [10, 10]])
def test_chao1_where_nothing_speaks_for_unseen_behaviours(abundances: list[int]) -> None:
    found, seen = chao1(abundances, 0.025), len(abundances)
    missed = math.exp(-sum(abundances) / seen)
    assert found.value == seen
    assert found.low == seen
    assert found.high == pytest.approx(
        seen / (1 - missed) + stats.norm.isf(0.025) * math.sqrt(seen * missed / (1 - missed))
    )


@given(abundance_vectors, st.sampled_from([0.1, 0.025, 0.001]))
@settings(max_examples=100, deadline=None)
def test_limits_are_ordered_and_widen(abundances: list[int], alpha: float) -> None:
    seen = sum(x > 0 for x in abundances)
    for estimate in (chao1, unseen_mass):
        found, stricter = estimate(abundances, alpha), estimate(abundances, alpha / 10)
        assert stricter.low <= found.low <= found.value <= found.high <= stricter.high
    assert chao1(abundances, alpha).low >= seen - 1e-9
    assert 0 <= unseen_mass(abundances, alpha).low <= unseen_mass(abundances, alpha).high <= 1


def test_unseen_mass_is_the_share_of_singletons_with_estys_limits() -> None:
    found = unseen_mass([1] * 20 + [2] * 15 + [10] * 15, 0.025)
    half = stats.norm.isf(0.025) * math.sqrt(20 * 180 + 2 * 200 * 15) / 200**1.5
    assert found.value == 0.1
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half))


def test_unseen_mass_without_singletons_is_not_known_to_be_zero() -> None:
    assert unseen_mass([5, 5], 0.025).high == pytest.approx(clopper_pearson(0, 10, 0.025).high)


def normalised(weights: FloatArray) -> FloatArray:
    out: FloatArray = weights / weights.sum()
    return out


POPULATIONS: dict[str, FloatArray] = {
    "uniform": normalised(np.ones(50)),
    "zipf": normalised(1 / np.arange(1.0, 201.0)),
    "geometric": normalised(0.8 ** np.arange(40.0)),
    "one mode and noise": normalised(np.r_[200.0, np.ones(100)]),
}


def excess(reps: int, alpha: float) -> float:
    """Errors that a limit of error at most .05 (what the docstrings promise at .025) makes with luck of four sigma."""
    return reps * 2 * alpha + 4 * math.sqrt(reps * 2 * alpha)


@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize("n", [16, 200])
def test_coverage_of_unseen_mass_and_rarefaction(name: str, n: int) -> None:
    law, rng, reps = POPULATIONS[name], np.random.default_rng(5), 150
    expected = float(np.sum(1 - (1 - law) ** n))
    errors = np.zeros((3, 2))
    for small, large in zip(rng.multinomial(n, law, reps), rng.multinomial(3 * n, law, reps), strict=True):
        found = compare_richness(small, large, 0.025)
        truths = (
            (found.base, expected),
            (found.arm, expected),
            (unseen_mass(large, 0.025), float(law[large == 0].sum())),
        )
        errors += [(interval.low > truth, interval.high < truth) for interval, truth in truths]
    assert errors.max() <= excess(reps, 0.025)


def test_coverage_of_a_true_difference() -> None:
    rng, reps, n = np.random.default_rng(6), 200, 300
    base, arm = POPULATIONS["geometric"], POPULATIONS["zipf"]
    truth = float(np.sum(1 - (1 - arm) ** n) - np.sum(1 - (1 - base) ** n))
    found = [
        compare_richness(x, y, 0.025).difference
        for x, y in zip(rng.multinomial(2 * n, base, reps), rng.multinomial(n, arm, reps), strict=True)
    ]
    assert sum(d.low > truth for d in found) <= excess(reps, 0.025)
    assert sum(d.high < truth for d in found) <= excess(reps, 0.025)
    assert all(d.low > 0 for d in found)


def test_more_draws_alone_are_no_difference() -> None:
    """One law, ten times the draws: raw numbers differ by far, numbers at equal n do not."""
    rng, law = np.random.default_rng(7), POPULATIONS["zipf"]
    few, many = rng.multinomial(100, law), rng.multinomial(1000, law)
    found = compare_richness(few, many, 0.025)
    assert np.count_nonzero(many) - np.count_nonzero(few) > 80
    assert found.draws == 100
    assert found.difference.low < 0 < found.difference.high
    assert found.base_unseen == pytest.approx(unseen_mass(few, 0.025).value)
    assert found.arm_unseen == pytest.approx(found.base_unseen, abs=0.15)


def test_comparison_is_antisymmetric() -> None:
    one, two = [5, 3, 1, 1], [20, 7, 2, 2, 1]
    there, back = compare_richness(one, two, 0.01), compare_richness(two, one, 0.01)
    assert (there.base, there.arm) == (back.arm, back.base)
    assert there.difference.low == pytest.approx(-back.difference.high)


def test_chao1_covers_where_rare_behaviours_are_equally_rare() -> None:
    rng, reps = np.random.default_rng(8), 400
    found = [chao1(x, 0.025) for x in rng.multinomial(64, POPULATIONS["uniform"], reps)]
    assert sum(f.low > 50 for f in found) <= excess(reps, 0.025)
    assert sum(f.high < 50 for f in found) <= excess(reps, 0.025)


def test_chao1_is_a_lower_bound_elsewhere() -> None:
    rng, reps = np.random.default_rng(9), 200
    found = [chao1(x, 0.025) for x in rng.multinomial(64, POPULATIONS["zipf"], reps)]
    assert np.mean([f.value for f in found]) < 150
    assert sum(f.low > 200 for f in found) <= excess(reps, 0.025)


@pytest.mark.parametrize(
    "call",
    [
        lambda: unseen_mass([], 0.025),
        lambda: unseen_mass([0, 0], 0.025),
        lambda: chao1([1, -1], 0.025),
        lambda: chao1([1.5, 2], 0.025),
        lambda: chao1([[1, 2]], 0.025),
        lambda: chao1([True, False], 0.025),
        lambda: chao1([float("nan")], 0.025),
        lambda: rarefied([2, 2], 5),
        lambda: rarefied([2, 2], 0),
        lambda: rarefied_singletons([2, 2], 5),
        lambda: compare_richness([1, 2], [0], 0.025),
        lambda: compare_richness([1, 2], [2, 3], 0.7),
    ],
)
def test_bad_values_are_named(call: Callable[[], object]) -> None:
    with pytest.raises(BadValue, match="allowed"):
        call()
