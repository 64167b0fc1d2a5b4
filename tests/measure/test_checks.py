"""Theorem checks: each holds, is violated, and is not testable somewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reachlab import Arm, Thresholds
from reachlab.measure import StudyCounts, make_setting
from reachlab.measure.checks import Check, agreement, theorem_checks
from tests.measure.worlds import BASE, CLOSED, LIVE, RL, SHUFFLED, Truth, lexicon


def checks(study: StudyCounts | Truth, exact: bool = True) -> dict[str, Check]:
    counted = study.sample() if isinstance(study, Truth) else study
    found = theorem_checks(make_setting(counted, Thresholds(), exact), Thresholds())
    return {c.name: c for c in found}


def changed(study: StudyCounts, arm: Arm, **fields: Any) -> StudyCounts:
    return replace(study, arms=tuple(replace(c, **fields) if c.arm == arm else c for c in study.arms))


def test_all_hold_in_a_sound_study_and_each_is_tested() -> None:
    found = checks(lexicon())
    assert {c.status for c in found.values()} == {"holds"}
    for theorem in ("spent >= required", "bits gained <= bits imported", "success <= policy-free bound"):
        assert any(name.startswith(theorem) for name in found)


@pytest.mark.parametrize("exact", [True, False])
def test_spent_below_required_is_violated(exact: bool) -> None:
    world = lexicon(bound=False).but(rates={(RL, CLOSED, CLOSED): 0.6}, spent={(RL, CLOSED, CLOSED): 0.5})
    found = checks(world, exact)
    assert found["spent >= required: rl·closed"].status == "violated"
    assert found["spent >= required: rl·live"].status == "holds"


def test_spent_is_compared_with_the_base_of_the_same_world() -> None:
    """1 nat live is far below the closed requirement, and enough against the live base."""
    assert checks(lexicon())["spent >= required: rl·live"].status == "holds"
    cheap = lexicon().but(rates={(BASE, None, LIVE): 0.02}, spent={(RL, LIVE, LIVE): 0.1})
    assert checks(cheap)["spent >= required: rl·live"].status == "violated"


def test_spent_without_nats_is_not_testable() -> None:
    study = changed(lexicon().sample(), Arm(RL, LIVE, LIVE), spent=None)
    assert checks(study)["spent >= required: rl·live"].status == "not testable"


def test_bits_are_testable_at_an_easy_dial_only() -> None:
    name = "bits gained <= bits imported: base·live"
    assert checks(lexicon())[name].status == "holds"
    hard = checks(lexicon(digits=(4, 5, 6)))[name]
    assert hard.status == "not testable"
    assert "needed" in hard.detail


def test_zero_imagined_hits_are_tested_with_enough_episodes() -> None:
    """3 * 2^bits / p episodes: bits are understated here so that the sample suffices, and the check fires."""
    study = lexicon(digits=(4, 5, 6), base_episodes=200).sample()
    arm = Arm(BASE, None, LIVE)
    bits = np.full(study.arm(arm.name).successes.shape, 6.0)
    assert checks(changed(study, arm, bits=bits))["bits gained <= bits imported: base·live"].status == "violated"


def test_success_above_the_bound_is_violated_only_beyond_chance() -> None:
    name = "success <= policy-free bound: base·shuffled"
    lucky = lexicon().sample()
    arm = lucky.arm("base·shuffled")
    hits = np.zeros_like(arm.successes)
    hits[0, -1] = 1  # one lucky hit at six digits: likely once in 1,500 studies, and no theorem is at stake
    assert checks(changed(lucky, arm.arm, successes=hits))[name].status == "holds"
    assert checks(lexicon().but(rates={(BASE, None, SHUFFLED): 0.4}))[name].status == "violated"


def test_exact_p0_may_fluctuate_around_the_bound() -> None:
    study = lexicon().sample()
    assert study.test.p0 is not None
    rng = np.random.default_rng(0)
    for factor, status in (
        (rng.exponential(1.0, study.test.size), "holds"),
        (np.full(study.test.size, 3.0), "violated"),
    ):
        p0 = np.minimum(study.test.p0 * factor, 1.0)
        found = checks(replace(study, test=replace(study.test, p0=p0)))
        assert found["p0 <= policy-free bound: exact p0"].status == status


def test_agreement_needs_an_easy_stratum() -> None:
    assert agreement(lexicon().sample(), 1e-4).status == "holds"
    assert agreement(lexicon(digits=(5, 6)).sample(), 1e-4).status == "not testable"
    study = lexicon().sample()
    assert study.test.p0 is not None
    for factor in (0.3, 3.0):
        wrong = replace(study, test=replace(study.test, p0=study.test.p0 * factor))
        found = agreement(wrong, 1e-4)
        assert found.status == "violated"
        assert "digits=1" in found.detail


def test_hits_where_p0_says_none_violate_agreement() -> None:
    study = lexicon(digits=(1, 6)).but(rates={(BASE, None, CLOSED): 0.1}).sample()
    found = agreement(study, 1e-4)
    assert (found.status, found.detail.split(":")[0]) == ("violated", "digits=6 (test)")


def test_false_alarms_are_rare() -> None:
    """Sound studies in every world, many seeds: alpha_check is 1e-4, so none is expected."""
    for seed in range(6):
        world = lexicon(seed=seed, per_stratum=15)
        assert not [c for c in checks(world).values() if c.status == "violated"]
