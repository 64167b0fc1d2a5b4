"""Studies drawn from a world: the same records that a language-model study is read through.

Tasks are drawn from the population, episodes from the exact law of each arm. Everything after this file is the code
that real studies run. Not covered: train splits, arms that no verdict looks at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reachlab import NO_INFORMATION_WORLDS, Arm, FloatArray, Treatment, World
from reachlab.measure import ArmCounts, StudyCounts, TaskSet
from reachlab.studies.calibration.process import CALLED, CLOSED_TOKENS, RIGHT, Law
from reachlab.studies.calibration.worlds import ARMS, PRIMARY, TABLE, TabularWorld

SPREAD = 0.008
"""Training runs differ: standard deviation of their rates of calling (normal, as Student's limits over runs assume)."""


@dataclass(frozen=True, slots=True)
class StudySize:
    """How large a study is."""

    tasks: int
    episodes: int
    """Per task, arm and training run."""
    seeds: int = 1
    """Training runs."""


HARD = 1e-4
"""Stands for every dial below the threshold."""


def draw(
    world: TabularWorld, size: StudySize, rng: np.random.Generator, arms: tuple[Arm, ...] = ARMS
) -> StudyCounts:
    """One study of *world*: its tasks, then every arm's counts."""
    types = rng.integers(world.dial.size, size=size.tasks)
    counts = tuple(_arm(world, arm, types, size, rng) for arm in arms)
    names = {value: f"p0~{value:.0e}" for value in _strata(world)}
    strata = tuple(names[value] for value in _rounded(world)[types].tolist())
    return StudyCounts(
        family=world.name,
        mechanism="tool",
        test=TaskSet(
            ids=tuple(map(str, range(size.tasks))),
            strata=strata,
            p0=None if world.enumerated is None else world.enumerated[types],
            bound=None if world.bound is None else world.bound[types],
            optimum=None if world.optimum is None else world.optimum[types],
        ),
        arms=counts,
        primary=PRIMARY.name,
        closed_tokens=CLOSED_TOKENS,
        hard_strata=tuple(names[value] for value in _strata(world) if value < TABLE.t),
    )


def _rounded(world: TabularWorld) -> FloatArray:
    """(M,) the dial to a power of ten; everything below the accessibility threshold is one stratum."""
    hard = world.dial < TABLE.t
    out: FloatArray = np.where(hard, HARD, np.maximum(10.0 ** np.round(np.log10(world.dial)), 1e-3))
    return out


def _strata(world: TabularWorld) -> list[float]:
    found: list[float] = np.unique(_rounded(world)).tolist()
    return found


def _arm(world: TabularWorld, arm: Arm, types: np.ndarray, size: StudySize, rng: np.random.Generator) -> ArmCounts:
    bare = arm.treatment == Treatment.BASE and arm.evaluated in NO_INFORMATION_WORLDS
    n = size.episodes * (world.oversampling if bare else 1)
    rows = 1 if arm.trained is None else size.seeds
    laws = [_law(world, arm, float(rng.normal(0.0, SPREAD)) if rows > 1 else 0.0) for _ in range(rows)]
    drawn = np.stack([rng.multinomial(n, found.probability[types]) for found in laws])  # (S, N, K)
    nats = np.stack([found.spent[types] for found in laws])
    escape = world.escape if arm == PRIMARY else 0.0
    escaped = rng.binomial(drawn, escape * (1 - RIGHT)) if escape else np.zeros_like(drawn)
    drawn = drawn - escaped  # what is left is scored
    hits, scored, faults = drawn @ RIGHT.astype(int), drawn.sum(axis=-1), escaped.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        spent = (drawn * nats).sum(axis=-1) / scored
        tokens = CLOSED_TOKENS + world.call_tokens * (drawn @ CALLED) / scored
        bits = (drawn * RIGHT * laws[0].bits[types]).sum(axis=-1) / hits
    return ArmCounts(
        arm,
        successes=hits,
        episodes=scored,
        faults=faults,
        spent=spent,
        bits=bits if arm.evaluated == World.LIVE else None,
        tokens=tokens,
        training_tokens=None if arm.trained is None else np.full(rows, 1e6),
    )


def _law(world: TabularWorld, arm: Arm, off: float) -> Law:
    """Without an offset the law is the same in every study of a world."""
    return world.law(arm, off) if off else _laws(world)[arm]


@lru_cache(maxsize=64)
def _laws(world: TabularWorld) -> dict[Arm, Law]:
    return {arm: world.law(arm) for arm in ARMS}
