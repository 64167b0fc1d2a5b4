"""Every rung of the decision table against one study: it holds, it is excluded, or what would decide it.

The rung that holds is the verdict's, from ``measure.judge``; here the others are explained from the same evidence.
"Excluded" is said only on limits, never because something was not measured. Written for a table of counts, whose
missing arms are named by the columns that would bring them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeGuard

from reachlab import NO_INFORMATION_WORLDS, Thresholds, World
from reachlab.measure import Evidence, Interval, Rung, Setting, Verdict
from reachlab.measure.wording import needed_tasks, number, spoken
from reachlab.studies.published.located import Doubt, soft

Status = Literal["holds", "excluded", "not decidable"]
HOLDS: Status = "holds"
EXCLUDED: Status = "excluded"
OPEN: Status = "not decidable"
HARD = "strata named hard beforehand (--hard)"


class Step(NamedTuple):
    """One rung."""

    rung: str
    status: Status
    why: str


@dataclass(frozen=True, slots=True)
class _Case:
    """What the rungs are held against."""

    setting: Setting
    verdict: Verdict
    doubt: Doubt | None
    """Why E1 or E2 was taken back."""

    @property
    def evidence(self) -> Evidence:
        return self.verdict.evidence

    @property
    def thresholds(self) -> Thresholds:
        return self.setting.thresholds

    @property
    def mixed(self) -> bool:
        """Whether there are no strata to place a gain by."""
        return len(self.setting.study.test.names()) == 1

    def no_hard_gain(self) -> str:
        """That there is no gain on the hard tasks to speak of, or empty."""
        ev = self.evidence
        if ev.absent_beyond is None or ev.gain_hard is None or ev.absent_beyond >= self.thresholds.margin:
            return ""
        limit = f"{number(self.thresholds.margin)} at 97.5 %"
        return f"gain on the {ev.hard_tasks:,} hard tasks {said(ev.gain_hard)}, less than {limit}"


def said(interval: Interval) -> str:
    """``0.31 [0.2, 0.42]``."""
    return spoken(interval.estimate())


def ladder(setting: Setting, verdict: Verdict, doubt: Doubt | None = None) -> tuple[Step, ...]:
    """All rungs in the table's order; *doubt*: why ``located.survive`` took E1 or E2 back."""
    case = _Case(setting, verdict, doubt)
    steps = []
    for rung, explain in _RUNGS.items():
        if rung == verdict.rung:
            status, why = HOLDS, verdict.sentence.partition(f" is {rung}: ")[2]
        elif verdict.evidence.blocked:
            status, why = OPEN, verdict.evidence.blocked
        else:
            status, why = explain(case, rung)
        steps.append(Step(str(rung), status, why))
    return tuple(steps)


Told = tuple[Status, str]


def _invalid(case: _Case, _: Rung) -> Told:
    gate = case.evidence.leak.gate
    if gate is not None and gate.low > 0:
        return OPEN, f"the leak gate fails, {said(gate)}: a leak or mere format? needs the base silent and imagined"
    spent = "" if case.setting.study.arm(case.setting.study.primary).nats() is not None else " and spent_nats"
    needs = [f"the base live{spent} (spent >= required)"]
    if gate is None or not gate.high < 0:
        counts = ", shuffled_n and shuffled_c" if gate is None else ""
        needs.append(f"the base silent and imagined{counts} (leaks)")
    return OPEN, "needs " + "; ".join(needs)


def _nothing(case: _Case, _: Rung) -> Told:
    ev, margin = case.evidence, case.thresholds.margin
    regions = (("all", ev.gain), ("the hard", ev.gain_hard), ("the tail", ev.gain_tail), ("the core", ev.gain_core))
    for name, gain in regions:
        if _shown(gain):
            return EXCLUDED, f"gain {said(gain)} on {name} tasks"
    if ev.gain is None or ev.absent is None:
        return OPEN, "no gain can be computed"
    why = f"gain {said(ev.gain)} is not shown, and its 97.5 % limit {number(ev.absent)} is not below {number(margin)}"
    return OPEN, why + _more(Interval(ev.gain.value, ev.gain.low, ev.absent), ev.tasks, margin, above=False)


def _within(case: _Case, rung: Rung) -> Told:
    """E1, E2: the gain lies in one region, and not on hard tasks."""
    ev, th, core = case.evidence, case.thresholds, rung == Rung.E1
    gain, mask = (ev.gain_core, case.setting.core) if core else (ev.gain_tail, case.setting.tail)
    where = f"mean base success {'of at least' if core else 'below'} {number(th.tau)}"
    if case.verdict.rung == Rung.E0:
        return EXCLUDED, "there is no gain to place"
    if case.doubt is not None and case.doubt.rung == rung:
        return EXCLUDED if case.doubt.contradicted else OPEN, case.doubt.why
    if _shown(ev.gain_hard) and not soft(case.setting):
        return EXCLUDED, f"gain {said(ev.gain_hard)} on the {ev.hard_tasks:,} hard tasks"
    if core and _shown(ev.gain_tail) and not case.mixed:
        return EXCLUDED, f"gain {said(ev.gain_tail)} on strata with mean base success below {number(th.tau)}"
    if gain is None or not mask.any():
        return _nowhere(case, where)
    if gain.high < th.margin:
        return EXCLUDED, f"gain {said(gain)} on strata with {where}, less than {number(th.margin)}"
    if not _shown(gain):
        return OPEN, f"gain {said(gain)} on strata with {where} is not shown{_more(gain, int(mask.sum()))}"
    left = ""
    if ev.absent_beyond is not None:
        left = f", but one of up to {number(ev.absent_beyond)} where the base's reach is not shown is not ruled out"
    return OPEN, f"gain {said(gain)} on strata with {where}{left}"


def _nowhere(case: _Case, where: str) -> Told:
    """Why no task is in a region that E1 or E2 asks about."""
    if soft(case.setting):
        return OPEN, "tasks were named hard that the base solves: name other strata"
    if case.mixed and not case.setting.hard.any():
        return OPEN, "needs a column stratum: the mean of a whole set does not say where its gain lies"
    return EXCLUDED, f"no stratum beside the hard ones has {where}"


def _carried(case: _Case, _: Rung) -> Told:
    hard = "" if case.evidence.hard_tasks else f", and {HARD}"
    return OPEN, f"needs an arm trained and evaluated closed{hard}: this one counts as trained and evaluated live"


def _format(case: _Case, _: Rung) -> Told:
    if case.no_hard_gain():
        return EXCLUDED, case.no_hard_gain()
    ev, part = case.evidence, number(case.thresholds.reproduced)
    tried = [f"{named.arm} less {part} of the gain is {said(named.contrast)}" for named in ev.reproduced]
    needs = [] if ev.hard_tasks else [HARD]
    needs.append(f"base or arm in the {_and(_worlds(case))} worlds")
    return OPEN, "; ".join([*tried, *_unshown(case), "needs " + ", and ".join(needs)])


def _expansion(case: _Case, _: Rung) -> Told:
    ev, study = case.evidence, case.setting.study
    if case.no_hard_gain():
        return EXCLUDED, case.no_hard_gain()
    if ev.leak.gate is not None and ev.leak.gate.low > 0:
        part = f"{100 * case.thresholds.leak_fraction:g} %"
        return EXCLUDED, f"{ev.leak.arm} shows more than {part} of the gain: {said(ev.leak.gate)} above that"
    arm = study.arm(study.primary)
    needs = [] if ev.hard_tasks else [HARD]
    needs += [] if arm.nats() is not None else ["spent_nats (divergence)"]
    needs += [] if arm.tokens is not None else ["cost_ratio (compute)"]
    needs += [] if _shuffled(case) else ["shuffled_n and shuffled_c (leak gate)"]
    worlds = [str(w) for w in NO_INFORMATION_WORLDS if study.base(w) is None]
    needs += [f"the base in the {_and(worlds)} worlds"] if worlds else []
    return OPEN, "; ".join([*_unshown(case), *_failing(case), "needs " + ", ".join(needs)])


def _beyond(case: _Case, rung: Rung) -> Told:
    """C2 to C4 stand on C1."""
    status, _ = _expansion(case, Rung.C1)
    if status == EXCLUDED:
        return EXCLUDED, "C1 is excluded"
    needs = {
        Rung.C2: "the base live, and the same treatment trained and evaluated closed (interaction)",
        Rung.C3: "the arm's policy evaluated closed, or distil, against rft and rl trained closed on the same tasks",
        Rung.C4: "C2 or C3 on a family that the arm was not trained on",
    }
    return OPEN, f"needs C1; {needs[rung]}"


_RUNGS: dict[Rung, Callable[[_Case, Rung], Told]] = {
    Rung.INVALID: _invalid,
    Rung.E0: _nothing,
    Rung.E1: _within,
    Rung.E2: _within,
    Rung.E3: _carried,
    Rung.E4: _format,
    Rung.C1: _expansion,
    Rung.C2: _beyond,
    Rung.C3: _beyond,
    Rung.C4: _beyond,
}


def _shown(gain: Interval | None) -> TypeGuard[Interval]:
    return gain is not None and gain.low > 0


def _shuffled(case: _Case) -> bool:
    study = case.setting.study
    return study.same_policy(study.arm(study.primary), World.SHUFFLED) is not None


def _worlds(case: _Case) -> list[str]:
    """The no-information worlds beside closed in which neither base nor arm was evaluated."""
    given = {c.arm.evaluated for c in case.setting.study.arms}
    return [str(w) for w in NO_INFORMATION_WORLDS if w not in given]


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def _unshown(case: _Case) -> list[str]:
    gain, tasks = case.evidence.gain_hard, case.evidence.hard_tasks
    if gain is None or _shown(gain):
        return []
    return [f"gain on the {tasks:,} hard tasks {said(gain)} is not shown{_more(gain, tasks)}"]


def _failing(case: _Case) -> list[str]:
    """Axes against the closed base that were measured and are not above 0, and a leak gate that is open."""
    ev, out = case.evidence, []
    for name in ("divergence", "compute", "support"):
        for axis in (getattr(a, name) for a in ev.axes if a.world == World.CLOSED):
            if axis is not None and not axis.low > 0:
                out.append(f"{name} against the closed base at least {number(axis.low)}, not above 0")
    if ev.leak.gate is not None and not ev.leak.passed:
        out.append(f"leak gate {said(ev.leak.gate)} is not below 0")
    return out


def _more(contrast: Interval, tasks: int, threshold: float = 0.0, above: bool = True) -> str:
    needed = needed_tasks(contrast, tasks, threshold, above)
    return f" (about {number(needed)} such tasks would)" if needed is not None and needed > tasks else ""
