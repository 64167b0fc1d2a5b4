"""Records: shapes, pooling, faults; contrasts over tasks and runs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reachlab import Arm
from reachlab.errors import BadValue, UnknownName
from reachlab.measure import ArmCounts, TaskSet, bounded_mean
from reachlab.measure.contrasts import any_mean, combine, difference, mean_over, nats, success, success_bits
from tests.measure.worlds import BASE, CLOSED, DISTIL, IMAGINED, LIVE, RL, SHUFFLED, lexicon

EVERY = np.ones(3, dtype=bool)


def counts(successes: Any, episodes: Any, arm: Arm | None = None, **more: Any) -> ArmCounts:
    return ArmCounts(arm or Arm(RL, LIVE, LIVE), np.array(successes), np.array(episodes), **more)


def test_shapes_and_ranges_are_checked() -> None:
    with pytest.raises(BadValue, match="seeds, tasks"):
        counts([1, 2], [2, 2])
    with pytest.raises(BadValue, match="number of episodes"):
        counts([[3]], [[2]])
    with pytest.raises(BadValue, match="spent"):
        counts([[1, 1]], [[2, 2]], spent=np.zeros((1, 3)))
    with pytest.raises(BadValue, match="length of p0"):
        TaskSet(("a",), ("s",), p0=np.zeros(2))
    with pytest.raises(BadValue, match="probabilities"):
        TaskSet(("a",), ("s",), bound=np.array([2.0]))
    study = lexicon().sample()
    with pytest.raises(UnknownName, match="Did you mean 'rl·live'"):
        replace(study, primary="rl·liv")
    with pytest.raises(BadValue):
        replace(study, closed_tokens=0.0)


def test_base_rows_are_pooled_and_trained_rows_kept() -> None:
    rows = ([[4, 0, 1], [0, 2, 1]], [[4, 4, 1], [4, 4, 3]])
    base, trained = counts(*rows, arm=Arm(BASE, None, LIVE)), counts(*rows)
    assert base.success().tolist() == [[0.5, 0.25, 0.5]]
    assert base.seeds == 1
    assert trained.success().shape == (2, 3)
    assert trained.seeds == 2
    weighted = base.mean_of(np.array([[1.0, 1.0, 9.0], [3.0, 3.0, 1.0]]))
    assert weighted.tolist() == [[2.0, 2.0, 3.0]]


def test_pool_keeps_all_hits_and_counts_the_least_sampled_task() -> None:
    assert counts([[4, 0, 1]], [[16, 10, 16]]).pool(EVERY) == (5, 30)
    assert counts([[4, 0, 0]], [[16, 16, 0]]).pool(EVERY) == (4, 32)
    assert counts([[0, 0, 0]], [[0, 0, 0]]).pool(EVERY) == (0, 0)


def test_base_spends_nothing() -> None:
    spent = counts([[1, 1, 1]], [[2, 2, 2]], arm=Arm(BASE, None, LIVE)).nats()
    assert spent is not None
    assert not spent.any()
    assert counts([[1, 1, 1]], [[2, 2, 2]]).nats() is None
    assert counts([[1]], [[2]], spent=np.array([[np.nan]])).nats() is None


def test_faults_count_against_the_arm_and_for_the_yardsticks() -> None:
    arms = [Arm(RL, LIVE, LIVE), Arm(BASE, None, CLOSED), Arm(RL, LIVE, SHUFFLED), Arm(DISTIL, LIVE, CLOSED)]
    study = lexicon().but(
        rates={(DISTIL, LIVE, CLOSED): 0.5}, faults={(a.treatment, a.trained, a.evaluated): 2 for a in arms}
    )
    plain = study.sample()
    assert plain.faults == sum(2 * c.successes.size for c in plain.arms if c.arm in arms)
    for against in (True, False):
        counted = plain.with_faults(against)
        added = [
            bool((counted.arm(a.name).successes - plain.arm(a.name).successes == (2 if raised else 0)).all())
            for a, raised in zip(arms, (not against, against, against, not against), strict=True)
        ]
        assert added == [True] * 4
        assert all((counted.arm(a.name).episodes == plain.arm(a.name).episodes + 2).all() for a in arms)


def test_contrasts_pair_by_task_and_run() -> None:
    one = np.array([[0.1, 0.5, np.nan], [0.3, 0.5, 0.2]])
    two = np.array([[0.1, 0.1, 0.1]])
    assert combine([(1.0, one), (-1.0, two)], EVERY).tolist() == pytest.approx(np.array([[0.0, 0.4], [0.2, 0.4]]))
    assert difference([(1.0, one)], np.zeros(3, dtype=bool), 0.1) is None
    paired = difference([(1.0, one), (-1.0, two)], EVERY, 0.025)
    assert paired is not None
    assert paired.value == pytest.approx(0.25)
    assert paired.low == pytest.approx(bounded_mean(np.array([0.1, 0.4]), 0.025, -1, 1).low)


def test_three_runs_widen_an_interval_and_two_do_not() -> None:
    rates = np.array([[0.4] * 3, [0.5] * 3, [0.6] * 3])
    wide, task = difference([(1.0, rates)], EVERY, 0.025), bounded_mean(np.full(3, 0.5), 0.025)
    assert wide is not None
    assert wide.low < task.low
    narrow = difference([(1.0, rates[:2])], EVERY, 0.025)
    assert narrow is not None
    assert narrow.low == pytest.approx(bounded_mean(np.full(3, 0.45), 0.025).low)


def test_means_without_data() -> None:
    empty = counts([[0, 0, 0]], [[0, 0, 0]])
    found = success(empty, EVERY, 0.1)
    assert (math.isnan(found.value), found.low, found.high) == (True, 0.0, 1.0)
    assert math.isnan(nats(np.full((1, 3), np.nan), EVERY, 0.1).value)
    assert math.isnan(mean_over(np.full((1, 3), np.nan), EVERY))


def test_signed_means() -> None:
    found = any_mean(np.array([[1.0, -3.0, 0.5]]), EVERY, 0.1)
    assert found.value == pytest.approx(-0.5)
    assert found.low < found.value < found.high


def test_imported_bits_weigh_successful_episodes() -> None:
    arm = counts([[3, 1, 0]], [[4, 4, 4]], bits=np.array([[10.0, 20.0, np.nan]]))
    found = success_bits(arm, EVERY, 0.1)
    assert found.value == pytest.approx(12.5)
    assert found.low < 12.5 < found.high
    assert math.isnan(success_bits(counts([[0, 0, 0]], [[4, 4, 4]]), EVERY, 0.1).value)
    assert lexicon().sample().same_policy(lexicon().sample().arm("rl·live"), IMAGINED) is not None
