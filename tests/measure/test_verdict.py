"""Every rung of the decision table from studies of known truth, and what breaks it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reachlab import Arm, Thresholds
from reachlab.measure import Analysis, Rung, StudyCounts, analyse
from tests.measure.worlds import (
    BASE,
    CLOSED,
    DISTIL,
    IMAGINED,
    LIVE,
    RFT,
    RL,
    SFT,
    SHUFFLED,
    SILENT,
    Rates,
    Truth,
    lexicon,
)


def rung(study: StudyCounts | Truth) -> Rung:
    return analysis(study).verdicts[0].rung


def analysis(study: StudyCounts | Truth) -> Analysis:
    return analyse(study.sample() if isinstance(study, Truth) else study)


def flat(**changes: Any) -> Truth:
    """Nothing gains anywhere."""
    world = lexicon(**changes)
    p0 = world.p0
    return world.but(rates={(BASE, None, LIVE): p0, (RL, LIVE, LIVE): p0})


def unbounded(**changes: Any) -> Truth:
    """Without a policy-free bound the base's reach in each world must be sampled far below t."""
    return lexicon(bound=False, base_episodes=300, **changes)


def rule(**changes: Any) -> Truth:
    """A regularity that live training finds and distillation carries into the closed world."""
    return unbounded(**changes).but(rates={(DISTIL, LIVE, CLOSED): 0.9}, spent={(DISTIL, LIVE, CLOSED): 14.0})


def recited(*worlds: Any) -> Truth:
    """The base knows the answers under another prompt."""
    rates: Rates = {(t, w0, w): 0.9 for t, w0 in ((BASE, None), (RL, LIVE)) for w in worlds}
    return lexicon(bound=False).but(rates=rates, spent={(RL, LIVE, w): 1.0 for w in worlds})


def with_arm(study: StudyCounts, arm: Arm, **changes: Any) -> StudyCounts:
    return replace(study, arms=tuple(replace(c, **changes) if c.arm == arm else c for c in study.arms))


def without(study: StudyCounts, *arms: Arm) -> StudyCounts:
    return replace(study, arms=tuple(c for c in study.arms if c.arm not in arms))


def base_primary() -> Truth:
    return lexicon().but(rates={(BASE, None, LIVE): 0.9}, primary=Arm(BASE, None, LIVE))


def sft_closed() -> Truth:
    return flat(bound=False).but(rates={(SFT, CLOSED, CLOSED): 0.6}, spent={(SFT, CLOSED, CLOSED): 9.0})


RUNGS: dict[str, tuple[Callable[[], Truth], Rung]] = {
    "live training works": (lexicon, Rung.C2),
    "the base uses the tool already": (base_primary, Rung.C1),
    "training adds nothing live": (lambda: lexicon().but(rates={(BASE, None, LIVE): 0.95}), Rung.C1),
    "distilled": (rule, Rung.C3),
    "imagined reproduces": (lambda: recited(IMAGINED), Rung.E4),
    "every prompt with tools reproduces": (lambda: recited(SILENT, IMAGINED, SHUFFLED), Rung.E4),
    "gold answers carry it": (sft_closed, Rung.E3),
    "tail only": (lambda: flat().but(rates={(RL, LIVE, LIVE): flat().on(2, 0.5)}), Rung.E2),
    "core only": (lambda: flat().but(rates={(RL, LIVE, LIVE): flat().on(1, 0.5)}), Rung.E1),
    "nothing": (flat, Rung.E0),
    "leak": (lambda: recited(SHUFFLED), Rung.INVALID),
    "few tasks": (lambda: lexicon(per_stratum=6), Rung.UNDECIDED),
    "spent more than required": (lambda: lexicon().but(spent={(RL, LIVE, LIVE): 30.0}), Rung.UNDECIDED),
}


@pytest.mark.parametrize("name", RUNGS)
def test_rung(name: str) -> None:
    make, expected = RUNGS[name]
    found = analysis(make()).verdicts[0]
    assert found.rung == expected, found.sentence
    assert found.sentence.startswith(f"retrieval on Toy is {expected}: ")


def test_transfer_is_c4_only_on_top_of_c2_or_c3() -> None:
    assert rung(replace(lexicon().sample(), transfer="Lexicon")) == Rung.C4
    assert rung(replace(base_primary().sample(), transfer="Lexicon")) == Rung.C1


def test_sentence_of_creation_has_the_numbers() -> None:
    sentence = analysis(lexicon()).verdicts[0].sentence
    for part in ("learned affordance use", "nats [", "% of the 120 hard tasks newly within reach", "k ≈ "):
        assert part in sentence
    assert "conditional" not in sentence


@pytest.mark.parametrize(("seeds", "clause"), [(1, "conditional on one training run"), (2, "on 2 training runs")])
def test_few_training_runs_are_said(seeds: int, clause: str) -> None:
    found = analysis(lexicon(seeds=seeds)).verdicts[0]
    assert found.rung == Rung.C2
    assert found.sentence.endswith(clause)


def test_undecided_says_what_would_decide() -> None:
    assert "tasks to pass it" in analysis(lexicon(per_stratum=6)).verdicts[0].sentence
    silent = analysis(lexicon().but(spent={(RL, LIVE, LIVE): 30.0})).verdicts[0].sentence
    assert "only compute speaks" in silent
    sampled = analysis(lexicon(bound=False, exact=False)).verdicts[0]
    assert sampled.rung == Rung.UNDECIDED
    wanted = re.search(r"about ([0-9,]+) base episodes in closed for support", sampled.sentence)
    attempts = next(a.attempts for a in sampled.evidence.axes if a.world == CLOSED)
    assert wanted and int(wanted[1].replace(",", "")) > attempts  # those at hand did not decide it


def test_sampled_p0_decides_with_enough_episodes() -> None:
    assert rung(lexicon(bound=False, exact=False, episodes=1200)) == Rung.C2


def test_sampled_p0_decides_with_a_policy_free_bound() -> None:
    found = analysis(lexicon(exact=False))
    assert found.verdicts[0].rung == Rung.C2
    assert found.p0.kind == "sampled"
    assert found.hard.sum() == 120


# ------------------------------------------------------------------------------------------------------- mutations


def with_primary(study: StudyCounts, **changes: Any) -> StudyCounts:
    arms = tuple(replace(c, **changes) if c.arm.name == study.primary else c for c in study.arms)
    return replace(study, arms=arms)


@pytest.mark.parametrize("gone", [np.nan, np.inf])
def test_nats_known_for_some_tasks_only_support_no_surplus(gone: float) -> None:
    """What is known might be the cheaper part; an infinite price is no reason to leave a task out."""
    study = lexicon().sample()
    spent = study.arm(study.primary).spent
    assert spent is not None
    partly = with_primary(study, spent=np.where(np.arange(spent.shape[1]) % 7 == 0, gone, spent))
    found = analysis(partly)
    assert not found.verdicts[0].rung.creation
    assert found.arm(study.primary).surplus_nats.value is None


def test_faults_take_the_price_of_the_dearest_task() -> None:
    """One fault in 16 leaves the verdict; not if a fault may have cost what the dearest task does."""
    study = lexicon().sample()
    arm = study.arm(study.primary)
    assert arm.spent is not None
    faults, dear = np.ones_like(arm.episodes), arm.spent.copy()
    dear[:, 0] = 400.0
    assert rung(with_primary(study, faults=faults)).creation
    assert not rung(with_primary(study, faults=faults, spent=dear)).creation
    counted = with_primary(study, faults=faults, spent=dear).with_faults().arm(study.primary)
    assert counted.spent is not None and counted.spent[0, 1] == pytest.approx((16 * arm.spent[0, 1] + 400) / 17)


def test_the_fewest_runs_of_any_arm_condition_the_verdict() -> None:
    study, rows = lexicon().sample(), ("successes", "episodes", "faults", "spent", "log_ratio", "tokens")
    one = tuple(
        replace(c, training_tokens=None, **{f: getattr(c, f)[:1] for f in rows})
        if c.arm == Arm(RL, CLOSED, CLOSED) else c
        for c in study.arms
    )
    evidence = analysis(replace(study, arms=one)).verdicts[0].evidence
    assert analysis(study).verdicts[0].evidence.seeds == 3 and not analysis(study).verdicts[0].evidence.conditional
    assert evidence.seeds == 1 and evidence.conditional


def test_yardsticks_need_their_episodes_too() -> None:
    study = lexicon().sample()
    few = tuple(
        replace(c, successes=np.zeros_like(c.successes), episodes=np.full_like(c.episodes, 4))
        if c.arm == Arm(RL, LIVE, SHUFFLED) else c
        for c in study.arms
    )
    verdict = analysis(replace(study, arms=few)).verdicts[0]
    assert verdict.rung == Rung.UNDECIDED and "4 episodes at a task of rl·live→shuffled" in verdict.sentence


def test_dear_failures_do_not_lower_the_price() -> None:
    """K is estimated on the tasks at hand: where it falls as success rises, the compute axis must allow for it."""
    study = lexicon().sample()
    arm = study.arm(study.primary)
    assert arm.tokens is not None
    rates = arm.successes / arm.episodes
    flat = with_primary(study, tokens=np.full(rates.shape, 20.0 * 40_000))
    tied = with_primary(study, tokens=20.0 * 40_000 * (1 + 5 * (rates.mean() - rates)))
    width = [analysis(s).verdicts[0].evidence.axes[0].compute for s in (flat, tied)]
    assert width[0] is not None and width[1] is not None
    assert width[0].value - width[0].low < width[1].value - width[1].low


def test_swapped_arms_are_not_learned_use() -> None:
    study = lexicon(per_stratum=80).sample()
    assert rung(study) == Rung.C2
    swap = {Arm(BASE, None, LIVE): Arm(RL, LIVE, LIVE), Arm(RL, LIVE, LIVE): Arm(BASE, None, LIVE)}
    arms = []
    for counts in study.arms:
        if counts.arm in swap:
            donor = study.arm(swap[counts.arm].name)
            rows = counts.successes.shape[0]
            counts = replace(counts, successes=np.repeat(donor.successes[:1], rows, axis=0))
        arms.append(counts)
    assert rung(replace(study, arms=tuple(arms))) == Rung.C1


def test_leaked_observations_against_the_bound_are_invalid() -> None:
    found = analysis(lexicon().but(rates={(RL, LIVE, SHUFFLED): 0.5}))
    assert found.verdicts[0].rung == Rung.INVALID
    assert any(c.status == "violated" and "rl·live→shuffled" in c.name for c in found.checks)


def test_a_small_leak_blocks_creation() -> None:
    assert rung(unbounded()) == Rung.C2
    assert rung(unbounded().but(rates={(RL, LIVE, SHUFFLED): 0.05})) == Rung.UNDECIDED


@pytest.mark.parametrize("factor", [1e-2, 0.2])
def test_incomplete_enumeration_is_invalid(factor: float) -> None:
    study = lexicon().sample()
    assert study.test.p0 is not None
    assert rung(replace(study, test=replace(study.test, p0=study.test.p0 * factor))) == Rung.INVALID


def test_nats_that_miss_tokens_are_invalid() -> None:
    world = unbounded()
    assert rung(world) == Rung.C2
    assert rung(world.but(spent={(RL, CLOSED, CLOSED): 0.001})) == Rung.INVALID


def test_more_bits_gained_than_imported_is_invalid() -> None:
    study = lexicon().sample()
    arm = Arm(RL, LIVE, LIVE)
    bits = study.arm(arm.name).bits
    assert bits is not None
    assert rung(with_arm(study, arm, bits=bits * 0.2)) == Rung.INVALID


def test_success_above_the_optimum_is_invalid() -> None:
    study = lexicon().sample()
    assert rung(replace(study, test=replace(study.test, optimum=np.full(study.test.size, 0.5)))) == Rung.INVALID


@pytest.mark.parametrize("world", [SILENT, IMAGINED, SHUFFLED])
def test_a_base_missing_in_one_world_blocks_creation(world: Any) -> None:
    study = without(unbounded().sample(), Arm(BASE, None, world))
    assert rung(study) == Rung.UNDECIDED


def test_without_shuffled_there_is_no_creation() -> None:
    study = without(lexicon().sample(), Arm(BASE, None, SHUFFLED), Arm(RL, LIVE, SHUFFLED))
    assert rung(study) == Rung.UNDECIDED


def test_creation_without_nats_is_not_claimed() -> None:
    study = with_arm(lexicon().sample(), Arm(RL, LIVE, LIVE), spent=None)
    found = analysis(study).verdicts[0]
    assert found.rung == Rung.UNDECIDED
    assert "spent nats not available" in found.sentence


def test_c3_needs_both_closed_trainings_matched_and_beaten() -> None:
    study = rule().sample()
    assert rung(study) == Rung.C3
    assert rung(replace(study, matched=False)) == Rung.C2
    assert rung(without(study, Arm(RFT, CLOSED, CLOSED))) == Rung.C2
    equal = rule().but(rates={(RFT, CLOSED, CLOSED): 0.9}, spent={(RFT, CLOSED, CLOSED): 14.0})
    assert rung(equal) == Rung.C2


def test_closed_training_without_signal_is_stood_for_by_the_base() -> None:
    study = with_arm(rule().sample(), Arm(RL, CLOSED, CLOSED), no_signal="no reward")
    assert rung(study) == Rung.C3


def test_interaction_must_be_positive() -> None:
    world = unbounded().but(rates={(RL, CLOSED, CLOSED): 0.6}, spent={(RL, CLOSED, CLOSED): 9.0})
    assert rung(world) == Rung.C1


def test_primary_without_signal_is_undecided() -> None:
    study = with_arm(lexicon().sample(), Arm(RL, LIVE, LIVE), no_signal="no group had both outcomes")
    assert rung(study) == Rung.UNDECIDED


def test_too_few_episodes_are_undecided() -> None:
    study = lexicon(episodes=8).sample()
    assert rung(study) == Rung.UNDECIDED
    assert analyse(study, Thresholds(min_episodes=8)).verdicts[0].rung == Rung.C2


# ---------------------------------------------------------------------------------------------------------- faults


def test_few_faults_do_not_matter() -> None:
    assert rung(lexicon(faults={(RL, LIVE, LIVE): 1})) == Rung.C2


def test_a_policy_that_faults_where_it_would_fail_gains_nothing() -> None:
    """16 scored episodes and 300 faults at each task: success on what was scored, nothing otherwise."""
    world = lexicon(faults={(RL, LIVE, LIVE): 300})
    found = analysis(world).verdicts[0]
    assert found.rung == Rung.UNDECIDED, found.sentence
    assert "faults" in found.sentence


def test_learned_use_falls_to_c1_if_only_that_survives() -> None:
    found = analysis(lexicon(per_stratum=80, faults={(RL, LIVE, LIVE): 12})).verdicts[0]
    assert found.rung == Rung.C1
    assert "C2 does not survive" in found.sentence


def test_no_gain_must_survive_faults_too() -> None:
    world = flat(faults={(RL, LIVE, LIVE): 16})
    assert rung(world) == Rung.UNDECIDED


def test_base_faults_count_as_base_successes() -> None:
    world = lexicon(exact=False, faults={(BASE, None, CLOSED): 4}, bound=False, episodes=1200)
    assert rung(world) == Rung.UNDECIDED


# ------------------------------------------------------------------------------------------------------ robustness


@pytest.mark.parametrize("seed", range(3))
def test_seeds_agree(seed: int) -> None:
    assert rung(lexicon(seed=seed)) == Rung.C2
    assert rung(flat(seed=seed)) in (Rung.E0, Rung.UNDECIDED)


def test_analysis_is_deterministic() -> None:
    assert analysis(lexicon()).to_json() == analysis(lexicon()).to_json()
