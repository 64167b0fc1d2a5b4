"""The three axes of creation against the base in one world, and the leak gate (DESIGN 2).

Each is one-sided at alpha on the hard tasks; where a statement rests on several limits they share alpha.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reachlab import NO_INFORMATION_WORLDS, FloatArray, Thresholds, World
from reachlab.measure import dual
from reachlab.measure.contrasts import Term, difference, nats, success
from reachlab.measure.intervals import Interval
from reachlab.measure.reach import Reach
from reachlab.measure.records import ArmCounts, Mask
from reachlab.measure.setting import Setting


@dataclass(frozen=True, slots=True)
class Axes:
    """An arm against the base in one world; None where the axis is not available, with the reason."""

    world: str
    kind: str
    """How the base's reach is known."""
    divergence: Interval | None
    """Surplus nats."""
    compute: Interval | None
    """Success above best-of-k at equal inference cost."""
    support: Interval | None
    """Share of the tasks newly within reach, at least."""
    attempts: int = 0
    """Episodes of the base behind a sampled reach."""
    hits: int = 0
    """Successes among them."""
    reason: str = ""

    @property
    def passed(self) -> bool:
        axes = (self.divergence, self.compute, self.support)
        return all(axis is not None and axis.low > 0 for axis in axes)

    def failing(self) -> list[str]:
        """Names of the axes that are not above 0."""
        named = (("divergence", self.divergence), ("compute", self.compute), ("support", self.support))
        return [name for name, axis in named if axis is None or not axis.low > 0]


@dataclass(frozen=True, slots=True)
class Leak:
    """What the world with a donor's observations gives away."""

    arm: str
    gate: Interval | None
    """(p_shuffled - p_closed) - fraction * (p_live - p_closed); passed when its upper limit is below 0."""
    above_silent: Interval | None
    above_imagined: Interval | None

    @property
    def passed(self) -> bool:
        return self.gate is not None and self.gate.high < 0

    @property
    def shuffled_above(self) -> bool:
        """Whether shuffled observations beat empty and imagined ones: they told something about the task."""
        both = (self.above_silent, self.above_imagined)
        return all(c is not None and c.low > 0 for c in both)


def costs(setting: Setting, counts: ArmCounts) -> FloatArray | None:
    """(S, N) inference tokens of the arm over those of one closed sample; None where they are not known everywhere."""
    tokens = counts.complete(counts.tokens)
    return None if tokens is None else tokens / setting.study.closed_tokens


def surplus(reach: Reach, counts: ArmCounts, mask: Mask, alpha: float) -> Interval | None:
    """Required - spent. None without spent nats or without a base.

    With exact p0 one paired mean (``dual``). Without, the lower limit is kl(LCB p, U) - UCB(spent), and the upper
    limit is infinite.
    """
    spent = counts.nats()
    if spent is None or reach.kind == "missing":
        return None
    if reach.p0 is not None:
        found = dual.surplus_limits(reach.p0, counts.success()[:, mask], spent[:, mask], alpha, reach.top)
        return None if math.isnan(found.value) else found
    share = alpha / (1 + int(bool(np.nan_to_num(spent[:, mask]).any())) + int(reach.random))
    p, paid = success(counts, mask, share), nats(spent, mask, share)
    if math.isnan(p.value) or math.isnan(paid.value):
        return None
    value, low = (reach.required(v, share) for v in (p.value, p.low))
    return Interval(value - paid.value, low - paid.high, math.inf)


def _compute(reach: Reach, counts: ArmCounts, mask: Mask, costs: FloatArray | None, alpha: float) -> Interval | None:
    if costs is None or reach.kind == "missing":
        return None
    share = alpha / (1 + int(reach.random))
    upper = reach.upper(share)
    p0, top = (np.full(int(mask.sum()), upper), upper) if reach.p0 is None else (reach.p0, reach.top)
    found = dual.above_cost_matched(p0, counts.success()[:, mask], costs[:, mask], share, top)
    if math.isnan(found.value):
        return None
    return found if reach.p0 is not None else Interval(found.value, found.low, 1.0)


def newly(reach: Reach, counts: ArmCounts, mask: Mask, alpha: float, tau: float, t: float) -> Interval | None:
    """Least share of the masked tasks newly within reach of the arm, never by thresholding single tasks."""
    share = alpha / (1 + int(reach.random))
    p = success(counts, mask, share)
    if math.isnan(p.value) or reach.kind == "missing":
        return None
    value, low = reach.share_floor(p.value, tau, t, share), reach.share_floor(p.low, tau, t, share)
    return Interval(value, low, 1.0)


def axes(setting: Setting, counts: ArmCounts, world: World, alpha: float) -> Axes:
    """The three axes of *counts* on the hard tasks against the base in *world*."""
    mask, th = setting.hard, setting.thresholds
    if not mask.any():
        return Axes(world, "missing", None, None, None, reason="there are no hard tasks")
    reach = setting.reach(world, mask)
    if reach.kind == "missing":
        return Axes(world, "missing", None, None, None, reason=f"the base was not evaluated in {world}")
    divergence = surplus(reach, counts, mask, alpha)
    compute = _compute(reach, counts, mask, costs(setting, counts), alpha)
    support = newly(reach, counts, mask, alpha, th.tau, th.t)
    absent = [n for n, a in (("spent nats", divergence), ("tokens", compute)) if a is None]
    reason = f"{' and '.join(absent)} not available" if absent else ""
    return Axes(world, reach.kind, divergence, compute, support, reach.attempts, reach.hits, reason)


def all_axes(setting: Setting, counts: ArmCounts, thresholds: Thresholds) -> tuple[Axes, ...]:
    """Against each no-information world; all must pass (intersection-union, no correction)."""
    return tuple(axes(setting, counts, world, thresholds.alpha) for world in NO_INFORMATION_WORLDS)


def leak(setting: Setting, primary: ArmCounts, thresholds: Thresholds) -> Leak:
    """The leak gate on the hard tasks (on all if there are none), for the primary policy, else for the base."""
    study, mask = setting.study, setting.hard if setting.hard.any() else setting.everything
    owner = primary if study.same_policy(primary, World.SHUFFLED) else study.base(primary.arm.evaluated) or primary
    shuffled, closed = study.same_policy(owner, World.SHUFFLED), setting.closed()
    if shuffled is None or closed is None:
        return Leak(owner.arm.name, None, None, None)
    f, alpha = thresholds.leak_fraction, thresholds.alpha
    live = study.same_policy(owner, World.LIVE) or primary
    terms: list[Term] = [(1.0, shuffled.success()), (f - 1.0, closed), (-f, live.success())]
    others = [study.same_policy(owner, w) or study.base(w) for w in (World.SILENT, World.IMAGINED)]
    above = [
        difference([(1.0, shuffled.success()), (-1.0, other.success())], mask, alpha) if other else None
        for other in others
    ]
    return Leak(shuffled.arm.name, difference(terms, mask, alpha), above[0], above[1])
