"""A study seen through its thresholds: which tasks are hard, and what the base reaches where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reachlab import NO_INFORMATION_WORLDS, FloatArray, Split, Thresholds, World
from reachlab.errors import BadValue
from reachlab.measure.contrasts import Term, difference
from reachlab.measure.intervals import Interval, clopper_pearson
from reachlab.measure.reach import Reach
from reachlab.measure.records import ArmCounts, Mask, StudyCounts


@dataclass(frozen=True, slots=True)
class Setting:
    """Regions of the test tasks, chosen from the base alone: hard (p0 < t), tail (t <= p0 < tau), core (p0 >= tau)."""

    study: StudyCounts
    thresholds: Thresholds
    exact: bool
    """Whether p0 may be used as exact: it is given, and sampled frequency agrees with it at an easy stratum."""
    hard: Mask
    tail: Mask
    core: Mask

    @property
    def everything(self) -> Mask:
        return np.ones(self.study.test.size, dtype=bool)

    @property
    def beyond(self) -> Mask:
        """Hard tasks, and those in no region: a gain here is not one within the base's reach."""
        out: Mask = ~self.tail & ~self.core
        return out

    def p0(self, split: Split = "test") -> FloatArray | None:
        """(N,) exact p0 of a split, or None."""
        tasks = self.study.tasks(split)
        return tasks.p0 if self.exact and tasks is not None else None

    def top(self, mask: Mask) -> float:
        """What exact p0 cannot exceed in the region that the masked test tasks are in: t, tau or 1."""
        if (mask & self.core).any():
            return 1.0
        return self.thresholds.tau if (mask & ~self.hard).any() else self.thresholds.t

    def reach(self, world: World, mask: Mask, split: Split = "test") -> Reach:
        """What the base reaches in *world* on the masked tasks."""
        p0 = self.p0(split)
        if world == World.CLOSED and p0 is not None and bool(mask.any()):
            return Reach(world, p0=p0[mask], top=self.top(mask) if split == "test" else 1.0)
        base, tasks = self.study.base(world, split), self.study.tasks(split)
        hits, attempts = base.pool(mask) if base else (0, 0)
        bound = None
        if world in NO_INFORMATION_WORLDS and split == "test" and tasks is not None and tasks.bound is not None:
            bound = float(tasks.bound[mask].mean()) if mask.any() else None
        return Reach(world, hits=hits, attempts=attempts, bound=bound)

    def closed(self, split: Split = "test") -> FloatArray | None:
        """(1, N) closed-book success of the base: exact, else sampled rates, else None."""
        p0 = self.p0(split)
        if p0 is not None:
            return p0[None]
        base = self.study.base(World.CLOSED, split)
        return base.success() if base else None

    def gain(self, counts: ArmCounts, mask: Mask, alpha: float) -> Interval | None:
        """Success of an arm above the closed base, paired by task.

        With exact p0 the base cannot fall short of a task by more than the region's largest p0 allows, so that the
        worst case beside which the lower limit is taken is the region's and not -1.
        """
        closed = self.closed(counts.arm.split)
        if closed is None:
            return None
        low = -self.top(mask) if self.exact and counts.arm.split == "test" else None
        terms: list[Term] = [(1.0, counts.success()), (-1.0, closed)]
        return difference(terms, mask, alpha, low=low)


def make_setting(study: StudyCounts, thresholds: Thresholds, exact: bool) -> Setting:
    """Regions from exact p0, or by strata: those named hard beforehand, the others by their pooled closed rate.

    A stratum that is not named hard and in which the base is not surely seen above t is in no region: a gain there
    cannot be said to be within the base's reach.
    """
    tasks = study.test
    if exact and tasks.p0 is None:
        raise BadValue("p0", None, "a vector, to be used as exact")
    if exact and tasks.p0 is not None:
        hard, core = tasks.p0 < thresholds.t, tasks.p0 >= thresholds.tau
        return Setting(study, thresholds, exact, hard, ~hard & ~core, core)
    hard = tasks.named(study.hard_strata)
    core, tail = (np.zeros(tasks.size, dtype=bool) for _ in range(2))
    base = study.base(World.CLOSED)
    for name in tasks.names():
        mask = tasks.stratum(name)
        hits, attempts = base.pool(mask) if base else (0, 0)
        if attempts and hits / attempts >= thresholds.tau:
            core |= mask
        elif attempts and clopper_pearson(hits, attempts, thresholds.alpha).low >= thresholds.t:
            tail |= mask
    return Setting(study, thresholds, exact, hard, tail & ~hard, core & ~hard)
