"""Hand-built studies of known truth: success probabilities in, sampled counts out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from reachlab import Arm, FloatArray, Treatment, World
from reachlab.measure import ArmCounts, StudyCounts, TaskSet, tilt, tilt_kl
from reachlab.seeding import generator

BASE, RL, RFT, SFT, DISTIL = Treatment.BASE, Treatment.RL, Treatment.RFT, Treatment.SFT, Treatment.DISTIL
CLOSED, SILENT, IMAGINED, SHUFFLED, LIVE = World.CLOSED, World.SILENT, World.IMAGINED, World.SHUFFLED, World.LIVE
RL_LIVE = Arm(RL, LIVE, LIVE)
Key = tuple[Treatment, World | None, World]
Rates = dict[Key, float | FloatArray]


@dataclass(frozen=True)
class Truth:
    """A study in terms of its true probabilities, a Lexicon-like one by default.

    ``rates`` holds success per (treatment, trained, evaluated): a number for all tasks, or (N,).
    """

    digits: tuple[int, ...] = (1, 2, 4, 5, 6)
    per_stratum: int = 40
    episodes: int = 16
    seeds: int = 3
    rates: Rates = field(default_factory=dict)
    spent: Rates = field(default_factory=dict)
    faults: dict[Key, int] = field(default_factory=dict)
    """Faulted episodes at each task, beside the scored ones."""
    base_episodes: int = 0
    """Episodes at each task of the base in the worlds without information, if more than ``episodes``."""
    primary: Arm = RL_LIVE
    bound: bool = True
    exact: bool = True
    seed: int = 0

    @property
    def strata(self) -> FloatArray:
        return np.repeat(np.array(self.digits, float), self.per_stratum)

    @property
    def p0(self) -> FloatArray:
        return 10.0**-self.strata

    def but(self, rates: Rates | None = None, spent: Rates | None = None, **changes: Any) -> Truth:
        """A variant with some rates and spent nats replaced."""
        merged: dict[str, Any] = {"rates": {**self.rates, **(rates or {})}, "spent": {**self.spent, **(spent or {})}}
        return replace(self, **{**merged, **changes})

    def on(self, digits: int, inside: float, outside: Any = None) -> FloatArray:
        """(N,) a rate on tasks of one code length and another (p0 if not given) on the rest."""
        rest = self.p0 if outside is None else np.full(self.p0.size, float(outside))
        return np.where(self.strata == digits, inside, rest)

    def sample(self) -> StudyCounts:
        n = self.p0.size
        tasks = TaskSet(
            ids=tuple(f"t{i}" for i in range(n)),
            strata=tuple(f"digits={int(d)}" for d in self.strata),
            p0=self.p0 if self.exact else None,
            bound=self.p0.copy() if self.bound else None,
            optimum=np.ones(n),
        )
        return StudyCounts(
            family="Toy",
            mechanism="retrieval",
            test=tasks,
            arms=tuple(self._arm(key, n) for key in self.rates),
            primary=self.primary.name,
            closed_tokens=20.0,
            hard_strata=tuple(f"digits={d}" for d in self.digits if d > 3),
        )

    def _arm(self, key: Key, n: int) -> ArmCounts:
        arm = Arm(*key)
        rows = 1 if arm.trained is None else self.seeds
        rng = generator(self.seed, "toy", arm.name)
        attempts = self.episodes
        if arm.trained is None and arm.evaluated != LIVE:
            attempts = max(attempts, self.base_episodes)
        hits = rng.binomial(attempts, np.broadcast_to(self.rates[key], (rows, n)))
        episodes = np.full((rows, n), attempts)
        nats = np.broadcast_to(self.spent.get(key, np.nan), (rows, n)) * rng.uniform(0.9, 1.1, (rows, n))
        live = arm.evaluated == LIVE
        bits = np.where(hits > 0, np.broadcast_to(self.strata * np.log2(10) + 1.5, (rows, n)), np.nan)
        return ArmCounts(
            arm=arm,
            successes=hits,
            episodes=episodes,
            faults=np.full((rows, n), self.faults.get(key, 0)),
            spent=nats,
            log_ratio=nats + 0.1 * rng.standard_normal((rows, n)),
            bits=bits if live else None,
            tokens=np.full((rows, n), 60.0 if live else 20.0),
            training_tokens=None if arm.trained is None else np.full(rows, 1e6),
        )


def lexicon(**changes: Any) -> Truth:
    """Retrieval that works: base live .5, rl live .95 at 1 nat; nothing else gains."""
    p0 = Truth(**changes).p0
    base: Rates = {(BASE, None, w): p0 for w in (CLOSED, SILENT, IMAGINED, SHUFFLED)}
    moved: Rates = {(RL, LIVE, w): p0 for w in (CLOSED, SILENT, IMAGINED, SHUFFLED)}
    lam = 2.0 if not changes.get("bound", True) else 0.0  # fresh facts leave closed training nothing to tilt
    closed: Rates = {(t, CLOSED, CLOSED): tilt(p0, lam) for t in (RL, RFT)}
    rates: Rates = {**base, **moved, **closed, (BASE, None, LIVE): 0.5, (RL, LIVE, LIVE): 0.95}
    spent: Rates = {**{k: 0.3 for k in moved}, **{k: tilt_kl(p0, lam) * 1.2 + 0.01 for k in closed}}
    return Truth(rates=rates, spent={**spent, (RL, LIVE, LIVE): 1.0}, **changes)
