"""From counts to everything that result.json says about them. Deterministic and pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from reachlab import Estimate, FloatArray, Json, Thresholds, World, record_to_json
from reachlab.measure import frontier as f
from reachlab.measure.axes import leak, newly
from reachlab.measure.checks import Check, agreement, theorem_checks
from reachlab.measure.dynamics import Support, support_dynamics
from reachlab.measure.evidence import Evidence, gather, training_effects
from reachlab.measure.frontier import Point
from reachlab.measure.intervals import bounded_mean
from reachlab.measure.ledger import ArmEntry, entry
from reachlab.measure.records import Mask, StudyCounts
from reachlab.measure.setting import Setting, make_setting
from reachlab.measure.verdict import Verdict, decide_with_faults


class Judgement(NamedTuple):
    """A verdict and what it was read through."""

    setting: Setting
    checks: tuple[Check, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a study found. ``to_json`` gives the keys of result.json that rest on counts."""

    thresholds: Thresholds
    hard: Mask
    """(N,) the hard test tasks."""
    p0: Estimate
    """Mean closed success of the base over the test tasks."""
    p0_hard: Estimate
    frontier: tuple[Point, ...]
    """On all test tasks; an upper bound where p0 is not exact (``p0.kind``)."""
    frontier_hard: tuple[Point, ...]
    frontier_train: tuple[Point, ...]
    arms: tuple[ArmEntry, ...]
    verdicts: tuple[Verdict, ...]
    checks: tuple[Check, ...]
    leak: Estimate
    interaction: Estimate
    support: Support
    """Tasks gained and lost by the primary arm."""
    support_sweep: tuple[Json, ...]
    faults: int

    def arm(self, name: str) -> ArmEntry:
        """The entry of the arm called *name*."""
        return next(a for a in self.arms if a.name == name)

    def to_json(self) -> Json:
        """Plain JSON types, no infinities: hard, p0, frontier, arms, verdicts, checks, leak, interaction, faults."""
        share = float(self.hard.mean()) if self.hard.size else 0.0
        hard = {"tasks": int(self.hard.sum()), "share": share, "k_acc": self.thresholds.k_acc}
        primary = self.verdicts[0]
        return {
            "thresholds": record_to_json(self.thresholds),
            "hard": hard,
            "p0": {**(self.p0.to_json() or {}), "hard": self.p0_hard.to_json()},
            "frontier": [p._asdict() for p in self.frontier],
            "frontier_hard": [p._asdict() for p in self.frontier_hard],
            "frontier_train": [p._asdict() for p in self.frontier_train],
            "arms": [a.to_json() for a in self.arms],
            "verdicts": [_verdict_json(v) for v in self.verdicts],
            "checks": [record_to_json(c) for c in self.checks],
            "leak": {**(self.leak.to_json() or {}), "passed": primary.evidence.leak.passed},
            "interaction": self.interaction.to_json(),
            "support": self.support.to_json(),
            "support_sweep": list(self.support_sweep),
            "faults": self.faults,
        }


def plain(value: Any) -> Any:
    """A record as JSON types: intervals and checks as objects, anything not finite as None."""
    if isinstance(value, Estimate):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {k: plain(v) for k, v in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _verdict_json(verdict: Verdict) -> Json:
    return {
        "mechanism": verdict.evidence.mechanism,
        "verdict": str(verdict.rung),
        "sentence": verdict.sentence,
        "evidence": plain(verdict.evidence),
    }


def _mean_p0(setting: Setting, mask: Mask) -> Estimate:
    """Mean p0: exact, or the sampled mean with its Clopper-Pearson limits, or a policy-free bound."""
    if not mask.any():
        return Estimate.missing("no such tasks")
    reach, alpha = setting.reach(World.CLOSED, mask), setting.thresholds.alpha_report / 2
    if reach.p0 is not None:
        value = float(reach.p0.mean())
        return Estimate(value, (value, value), "exact")
    if reach.attempts:
        base = setting.study.base(World.CLOSED)
        assert base is not None  # attempts come from it
        limits = bounded_mean(base.success()[0, mask], alpha)
        high = reach.upper(alpha)
        return Estimate(reach.hits / reach.attempts, (min(limits.low, high), high), "sampled")
    if reach.bound is not None:
        return Estimate(reach.bound, (0.0, reach.bound), "bound")
    return Estimate.missing("the base was not evaluated closed")


def _curve(setting: Setting, mask: Mask) -> tuple[Point, ...]:
    if not mask.any():
        return ()
    reach = setting.reach(World.CLOSED, mask)
    if reach.kind == "missing":
        return ()
    p0: FloatArray = reach.p0 if reach.p0 is not None else np.array([reach.upper(setting.thresholds.alpha_report / 2)])
    return tuple(f.curve(p0))


def support_sweep(setting: Setting) -> tuple[Json, ...]:
    """Least share newly within reach of the primary arm for other tau_a and k_acc (hard tasks as certified by each)."""
    study, th, out = setting.study, setting.thresholds, []
    primary = study.arm(study.primary)
    taus = sorted({th.tau, 0.1, 0.2, 0.3, 0.4, 0.5})
    for k_acc in sorted({th.k_acc, 100, 10_000, 100_000}):
        t = 1 - 0.5 ** (1 / k_acc)
        p0 = setting.p0()
        mask = setting.hard if p0 is None else p0 < t
        for tau in taus if mask.any() and primary.arm.split == "test" else []:
            share = newly(setting.reach(World.CLOSED, mask), primary, mask, th.alpha_report / 2, tau, t)
            if share is not None:
                out.append({"k_acc": k_acc, "tau": tau, "tasks": int(mask.sum()), **plain(share.clip())})
    return tuple(out)


def see(study: StudyCounts, thresholds: Thresholds) -> tuple[Setting, Check]:
    """The study through its thresholds, p0 as exact only where that is given, testable and agrees with frequency."""
    agrees = agreement(study, thresholds.alpha_check / 2)
    return make_setting(study, thresholds, study.test.p0 is not None and agrees.status == "holds"), agrees


def judge(study: StudyCounts, thresholds: Thresholds | None = None) -> Judgement:
    """Checks, evidence and verdict of one study: what ``analyse`` builds its report around."""
    th = thresholds or Thresholds()
    setting, agrees = see(study, th)
    exact = setting.exact
    checks = (*theorem_checks(setting, th), *([agrees] if study.test.p0 is not None else []))

    def evidence(counted: StudyCounts) -> Evidence:
        return gather(counted, th, exact, checks)

    found = evidence(study)
    verdict = decide_with_faults(found, th, study.faults, lambda against: evidence(study.with_faults(against)))
    return Judgement(setting, checks, verdict)


def analyse(study: StudyCounts, thresholds: Thresholds | None = None) -> Analysis:
    """Everything a report prints about one study."""
    th = thresholds or Thresholds()
    setting, checks, verdict = judge(study, th)
    exact = setting.exact
    reporting = contrasts(setting)
    train = study.train.p0 if study.train is not None and exact else None
    return Analysis(
        thresholds=th,
        hard=setting.hard,
        p0=_mean_p0(setting, setting.everything),
        p0_hard=_mean_p0(setting, setting.hard),
        frontier=_curve(setting, setting.everything),
        frontier_hard=_curve(setting, setting.hard),
        frontier_train=tuple(f.curve(train)) if train is not None and train.size else (),
        arms=tuple(entry(setting, counts) for counts in study.arms),
        verdicts=(verdict,),
        checks=checks,
        leak=reporting["leak"],
        interaction=reporting["interaction"],
        support=support_dynamics(setting, study.arm(study.primary)),
        support_sweep=support_sweep(setting),
        faults=study.faults,
    )


def contrasts(setting: Setting) -> dict[str, Estimate]:
    """The leak contrast and the interaction effect with 95 % intervals."""
    study, alpha = setting.study, setting.thresholds.alpha_report / 2
    gate = leak(setting, study.arm(study.primary), replace(setting.thresholds, alpha=alpha)).gate
    effect = training_effects(setting, alpha)[1]
    return {
        "leak": gate.estimate() if gate else Estimate.missing("needs shuffled, closed and live arms"),
        "interaction": effect.estimate() if effect else Estimate.missing("needs both trainings, and hard tasks"),
    }
