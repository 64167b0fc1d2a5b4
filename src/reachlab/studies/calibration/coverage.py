"""Every interval that a report prints, beside the number it is about: does it cover it as often as it says?

The truth of a quantity is its value in the population of tasks (and training runs) that a study is drawn from.
Not covered: the limits at .001 that verdicts use; their errors are the false-creation rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from reachlab import Arm, Estimate, FloatArray, Thresholds, Treatment, World
from reachlab.measure import (
    ArmEntry,
    StudyCounts,
    best_of,
    entry,
    equivalent_k,
    frontier_success,
    pass_curve,
    required_nats,
)
from reachlab.measure.analysis import contrasts, see
from reachlab.measure.dynamics import Support, support_dynamics
from reachlab.measure.ledger import gap
from reachlab.studies.calibration.draw import SPREAD, StudySize
from reachlab.studies.calibration.process import CLOSED_TOKENS, RIGHT
from reachlab.studies.calibration.worlds import PRIMARY, TabularWorld

BASE, RL = Treatment.BASE, Treatment.RL
TRAINED_CLOSED = Arm(RL, World.CLOSED, World.CLOSED)
ROUNDING = 1e-6
"""Relative: an interval that misses by less covers (a rate of 1e-8 is not seen in any sample, nor meant by anyone)."""
RUNS = SPREAD * special.ndtri((np.arange(33) + 0.5) / 33)
"""Over which quantities that are not linear in the rate of calling are averaged between training runs."""


LIVE = Arm(BASE, None, World.LIVE)
SHUFFLED, IMAGINED = (Arm(RL, World.LIVE, world) for world in (World.SHUFFLED, World.IMAGINED))
READ = (Arm(BASE, None, World.CLOSED), LIVE, PRIMARY, SHUFFLED, IMAGINED, TRAINED_CLOSED)
"""The arms that the printed quantities are read from."""


class Population:
    """Exact values of a world, averaged over training runs where there are several."""

    def __init__(self, world: TabularWorld, size: StudySize, thresholds: Thresholds) -> None:
        self.world, self.size, self.thresholds = world, size, thresholds
        self.p0 = world.base.closed
        self.hard = (world.enumerated if world.enumerated is not None else world.dial) < thresholds.t

    def mean(self, arm: Arm, what: str) -> FloatArray:
        """(M,) success, nats or calls of an arm."""
        several = arm.trained is not None and self.size.seeds > 1
        laws = [self.world.law(arm, off) for off in (RUNS.tolist() if several else [0.0])]
        out: FloatArray = np.mean([getattr(found, what) for found in laws], axis=0)
        return out

    @cached_property
    def p(self) -> FloatArray:
        """(M,) success of the primary arm."""
        return self.mean(PRIMARY, "success")

    @cached_property
    def nats(self) -> FloatArray:
        return self.mean(PRIMARY, "nats")

    def on_hard(self, values: FloatArray) -> float:
        return float(values[self.hard].mean()) if self.hard.any() else math.nan

    @property
    def required(self) -> float:
        return required_nats(self.p0[self.hard], self.on_hard(self.p)) if self.hard.any() else math.nan

    @property
    def leak(self) -> float:
        f, shuffled = self.thresholds.leak_fraction, self.mean(SHUFFLED, "success")
        return self.on_hard(shuffled - self.p0 - f * (self.p - self.p0))

    @property
    def interaction(self) -> float:
        live, closed = self.mean(LIVE, "success"), self.mean(TRAINED_CLOSED, "success")
        return self.on_hard(self.p - live - closed + self.p0)

    @property
    def bits_gained(self) -> float:
        imagined = self.mean(IMAGINED, "success")
        return math.log2(float(self.p.mean())) - math.log2(float(imagined.mean()))

    @property
    def bits_imported(self) -> float:
        law = self.world.law(PRIMARY)
        won = law.probability * RIGHT
        return float((won * law.bits).sum() / won.sum())

    @property
    def gap(self) -> float:
        trained = self.world.law(TRAINED_CLOSED)
        return frontier_success(self.p0, float(trained.nats.mean())) - float(trained.success.mean())

    @property
    def cost(self) -> float:
        calls = self.on_hard(self.mean(PRIMARY, "calls"))
        return 1 + self.world.call_tokens * calls / CLOSED_TOKENS

    @property
    def lost(self) -> float:
        core = self.p0 >= self.thresholds.tau
        return float((self.p < self.thresholds.tau)[core].mean()) if core.any() else math.nan

    @property
    def newly(self) -> float:
        return self.on_hard(((self.p >= self.thresholds.tau) & (self.p0 < self.thresholds.t)).astype(float))

    @property
    def corrected(self) -> float:
        k = min(self.size.episodes * self.world.oversampling // 2, self.size.episodes)
        before, after = best_of(self.p0, k), best_of(self.p, k)
        return float(((1 - before) * (after - before)).mean())

    @cached_property
    def flow(self) -> tuple[float, float, float]:
        """(preserved, expanded, shrunk) shares of tasks, by membership after the study's number of attempts."""
        n = self.size.episodes
        before, after = 1 - (1 - self.p0) ** n, 1 - (1 - self.p) ** n
        shares = (before * after, (1 - before) * after, before * (1 - after))
        preserved, expanded, shrunk = (float(s.mean()) for s in shares)
        return preserved, expanded, shrunk


class Printed:
    """What a report on one study prints."""

    def __init__(self, study: StudyCounts, thresholds: Thresholds) -> None:
        self.study, self.alpha = study, thresholds.alpha_report / 2
        self.setting, _ = see(study, thresholds)

    @cached_property
    def primary(self) -> ArmEntry:
        return entry(self.setting, self.study.arm(self.study.primary))

    @property
    def gap(self) -> Estimate:
        trained = self.study.arm(TRAINED_CLOSED.name)
        return gap(self.setting, trained, self.setting.everything, self.alpha)

    @cached_property
    def contrasts(self) -> dict[str, Estimate]:
        return contrasts(self.setting)

    @property
    def passed(self) -> Estimate:
        arm = self.study.arm(self.study.primary)
        return pass_curve(arm.episodes[0], arm.successes[0], self.alpha, (4,))[0].success.estimate()

    @cached_property
    def support(self) -> Support:
        return support_dynamics(self.setting, self.study.arm(self.study.primary))


@dataclass(frozen=True, slots=True)
class Quantity:
    """One printed interval."""

    name: str
    true: Callable[[Population], float]
    printed: Callable[[Printed], Estimate]
    conservative: str = ""
    """Why it covers more than 95 % by construction, if it does."""


def _harmonic(flow: tuple[float, float, float]) -> float:
    p, e, s = flow
    a, b = p / (p + s), e / (p + e)
    return 2 * a * b / (a + b)


SHARED = "two limits share the error"
BOUND = "a bound: a lower limit of a lower bound"
BOUNDED = "limits hold whatever the distribution of difficulty"
UNSEEN = "an unseen task at the worst end of its range is allowed for"
EXACT = "Clopper-Pearson is exact on both sides"
QUANTITIES = (
    Quantity("success", lambda t: float(t.p.mean()), lambda r: r.primary.success),
    Quantity("success, hard", lambda t: t.on_hard(t.p), lambda r: r.primary.success_hard),
    Quantity("spent nats", lambda t: float(t.nats.mean()), lambda r: r.primary.spent_nats, UNSEEN),
    Quantity("required nats (frontier)", lambda t: t.required, lambda r: r.primary.required_nats,
             UNSEEN),
    Quantity("surplus nats", lambda t: t.required - t.on_hard(t.nats), lambda r: r.primary.surplus_nats, SHARED),
    Quantity("equivalent k", lambda t: equivalent_k(t.p0[t.hard], t.on_hard(t.p)) if t.hard.any() else math.nan,
             lambda r: r.primary.equivalent_k, UNSEEN),
    Quantity("cost-matched k", lambda t: t.cost, lambda r: r.primary.cost_matched_k, UNSEEN),
    Quantity("closed at cost-matched k", lambda t: t.on_hard(best_of(t.p0, t.cost)) if t.hard.any() else math.nan,
             lambda r: r.primary.closed_at_cost_matched_k, SHARED),
    Quantity("gap to the frontier", lambda t: t.gap, lambda r: r.gap, SHARED),
    Quantity("bits gained", lambda t: t.bits_gained, lambda r: r.primary.bits_gained, SHARED),
    Quantity("bits imported", lambda t: t.bits_imported, lambda r: r.primary.bits_imported, UNSEEN),
    Quantity("newly within reach", lambda t: t.newly, lambda r: r.primary.newly_within_reach, BOUND),
    Quantity("lost", lambda t: t.lost, lambda r: r.primary.lost, BOUND),
    Quantity("leak contrast", lambda t: t.leak, lambda r: r.contrasts["leak"], UNSEEN),
    Quantity("interaction effect", lambda t: t.interaction, lambda r: r.contrasts["interaction"], UNSEEN),
    Quantity("SRR", lambda t: t.flow[0] / (t.flow[0] + t.flow[2]), lambda r: r.support.srr, EXACT),
    Quantity("NDR", lambda t: t.flow[1] / (t.flow[0] + t.flow[1]), lambda r: r.support.ndr, EXACT),
    Quantity("SDS", lambda t: _harmonic(t.flow), lambda r: r.support.sds, SHARED),
    Quantity("NSCR", lambda t: (t.flow[1] - t.flow[2]) / sum(t.flow), lambda r: r.support.nscr),
    Quantity("expanded beyond placebo", lambda t: t.corrected, lambda r: r.support.expanded),
    Quantity("Cover@tau", lambda t: float((t.p >= t.thresholds.tau).mean()), lambda r: r.support.cover_arm, BOUNDED),
    Quantity("pass@4", lambda t: float(best_of(t.p, 4).mean()), lambda r: r.passed),
)  # fmt: skip


def covers(printed: Estimate, true: float) -> int | None:
    """0 if the interval covers *true*, -1 if all of it is below, 1 if above; None if nothing was printed."""
    if printed.value is None or printed.ci is None or not math.isfinite(true):
        return None
    low, high = printed.ci
    slack = ROUNDING * max(1.0, abs(true))
    if high is not None and high < true - slack:
        return -1
    return int(low is not None and low > true + slack)
