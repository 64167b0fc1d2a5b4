"""Everything the decision table looks at, gathered once: limits, not data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from reachlab import NO_INFORMATION_WORLDS, Estimate, Thresholds, Treatment, World
from reachlab.measure import ledger
from reachlab.measure.axes import Axes, Leak, all_axes, leak
from reachlab.measure.checks import Check
from reachlab.measure.contrasts import Term, combine, difference, mean_over
from reachlab.measure.intervals import MIN_SEEDS, Interval
from reachlab.measure.records import ArmCounts, Mask, StudyCounts, internalised
from reachlab.measure.setting import Setting, make_setting

NOT_SAID = Estimate.missing("printed for the arm; a verdict says it where every axis and the leak gate pass")


class Named(NamedTuple):
    """A contrast and the arm it is about."""

    arm: str
    contrast: Interval


@dataclass(frozen=True, slots=True)
class Evidence:
    """All limits are one-sided at alpha, except ``absent_*``: the upper end of the printed 95 % interval."""

    family: str
    mechanism: str
    arm: str
    seeds: int
    """Fewest training runs behind an arm of the contrasts; 0 if nothing was trained."""
    tasks: int
    hard_tasks: int
    violated: tuple[Check, ...]
    leak: Leak
    axes: tuple[Axes, ...]
    gain: Interval | None
    gain_hard: Interval | None
    gain_tail: Interval | None
    gain_core: Interval | None
    absent: float | None
    """Upper 95 % limit of the gain over all test tasks."""
    absent_beyond: float | None
    """The same on the tasks not known to be within the base's reach; None if there are none."""
    training: Interval | None
    """(treated, live) - (base, live) on the hard tasks; None if the primary arm is the base or one is missing."""
    interaction: Interval | None
    """``training`` less the same difference of the policies trained and evaluated closed."""
    closed_floor: bool
    """Both closed arms of the interaction are at the floor: it is then the training gain alone."""
    internalised: tuple[Named, ...]
    """Arms fed by live training, evaluated closed: their worst contrast with closed training and the base.

    This and the two below list what is above 0: nothing else can be established.
    """
    matched: bool
    transfer: str
    reproduced: tuple[Named, ...]
    """No-information arms less ``Thresholds.reproduced`` of the gain and less the closed base, on the hard tasks."""
    closed_gains: tuple[Named, ...]
    """Gains on the hard tasks of arms trained and evaluated closed."""
    cheaper: bool
    """The accessible tasks' required nats exceed what the weights paid: the affordance was the cheaper way."""
    surplus: Estimate
    """This and the next two are for the sentence of a C rung, and missing where its axes or leak gate fail."""
    newly: Estimate
    equivalent_k: Estimate
    p: Estimate
    blocked: str
    """Why no verdict may be given at all: the primary arm had no signal or too few episodes."""
    exact: bool
    """Whether the closed base's p0 is exact."""

    @property
    def conditional(self) -> bool:
        """Whether the statement holds for the training runs at hand only."""
        return 0 < self.seeds < MIN_SEEDS


def _meets(candidates: Iterable[Named]) -> list[Named]:
    return [named for named in candidates if named.contrast.low > 0]


def met(candidates: Iterable[Named]) -> Named | None:
    """The candidate with the highest positive lower limit, or None."""
    found = _meets(candidates)
    return max(found, key=lambda n: n.contrast.low) if found else None


def _training(setting: Setting, primary: ArmCounts, alpha: float) -> tuple[Interval | None, Interval | None, bool]:
    study, mask, arm = setting.study, setting.hard, primary.arm
    base_live, base_closed = study.base(arm.evaluated), setting.closed()
    if arm.treatment == Treatment.BASE or base_live is None:
        return None, None, False
    terms: list[Term] = [(1.0, primary.success()), (-1.0, base_live.success())]
    training = difference(terms, mask, alpha)
    rival = study.find(arm.treatment, World.CLOSED, World.CLOSED)
    if rival is None or base_closed is None:
        return training, None, False
    interaction = difference([*terms, (-1.0, rival.success()), (1.0, base_closed)], mask, alpha)
    least = setting.thresholds.floor
    floor = all(mean_over(rates, mask) < least for rates in (rival.success(), base_closed))
    return training, interaction, floor


def _internalised(setting: Setting, alpha: float) -> tuple[Named, ...]:
    """Candidates share alpha; a rival without a signal is stood for by the untrained base."""
    study, closed = setting.study, setting.closed()
    rivals = [study.find(t, World.CLOSED, World.CLOSED) for t in (Treatment.RFT, Treatment.RL)]
    ran = {c.arm.training for c in study.arms}
    planned = all((t, World.CLOSED) in ran for t in (Treatment.RFT, Treatment.RL))
    candidates = [c for c in study.arms if internalised(c.arm) and not c.missing]
    out = []
    for counts in candidates if planned and closed is not None else []:
        against = [r.success() for r in rivals if r is not None] + ([closed] if closed is not None else [])
        contrasts: list[list[Term]] = [[(1.0, counts.success()), (-1.0, v)] for v in against]
        if all(_value(terms, setting.hard) > 0 for terms in contrasts):
            found = [difference(terms, setting.hard, alpha / len(candidates)) for terms in contrasts]
            kept = [c for c in found if c is not None]
            out += [Named(counts.arm.name, min(kept, key=lambda c: c.low))] if kept else []
    return tuple(out)


def _value(terms: list[Term], mask: Mask) -> float:
    """The contrast without its limits, which cost a hundred times as much; NaN without tasks."""
    values = combine(terms, mask)
    return float(values.mean()) if values.size else math.nan


def _reproduced(setting: Setting, primary: ArmCounts, alpha: float) -> tuple[Named, ...]:
    study, closed, part = setting.study, setting.closed(), setting.thresholds.reproduced
    worlds = [w for w in NO_INFORMATION_WORLDS if w != World.CLOSED]
    arms = [a for w in worlds for a in (study.base(w), study.same_policy(primary, w)) if a is not None]
    unique = {a.arm.name: a for a in arms if a.arm.name != primary.arm.name}
    if closed is None or not setting.hard.any():
        return ()
    out = []
    for name, counts in unique.items():
        terms: list[Term] = [(1.0, counts.success()), (-part, primary.success()), (part - 1, closed)]
        found = difference(terms, setting.hard, alpha / len(unique)) if _value(terms, setting.hard) > 0 else None
        if found is not None:
            out.append(Named(name, found))
    return tuple(out)


def _closed_gains(setting: Setting, alpha: float) -> tuple[Named, ...]:
    arms = [
        c
        for c in setting.study.arms
        if c.arm.evaluated == c.arm.trained == World.CLOSED and c.arm.split == "test" and not c.missing
        if c.arm.treatment != Treatment.DISTIL
    ]
    closed = setting.closed()
    if closed is None:
        return ()
    above = [c for c in arms if _value([(1.0, c.success()), (-1.0, closed)], setting.hard) > 0]
    gains = [(c.arm.name, setting.gain(c, setting.hard, alpha / len(arms))) for c in above]
    return tuple(Named(name, gain) for name, gain in gains if gain is not None)


def _cheaper(setting: Setting, primary: ArmCounts, alpha: float) -> bool:
    mask, paid = setting.tail | setting.core, primary.nats()
    p = mean_over(primary.success(), mask)
    if paid is None or not p >= 0:
        return False
    return setting.reach(World.CLOSED, mask).required(p, alpha) > mean_over(paid, mask)


def _runs(setting: Setting, primary: ArmCounts) -> int:
    """Training runs that a statement rests on: the fewest of the primary arm, its closed rival and C3's candidates."""
    if primary.pooled:
        return 0
    study = setting.study
    rival = study.find(primary.arm.treatment, World.CLOSED, World.CLOSED)
    compared = [primary, *([rival] if rival is not None else [])]
    compared += [c for c in study.arms if internalised(c.arm) and not c.missing]
    return min(c.seeds for c in compared)


def _blocked(setting: Setting, primary: ArmCounts) -> str:
    """Why no verdict may be given: no signal, or too few episodes of an arm that the axes or the leak gate look at."""
    if primary.missing:
        return f"the primary arm: {primary.missing}"
    study, least = setting.study, setting.thresholds.min_episodes
    shuffled = study.same_policy(primary, World.SHUFFLED)
    for counts in [primary, *(study.base(w) for w in NO_INFORMATION_WORLDS), shuffled]:
        if counts is None or not counts.episodes.size:
            continue
        tried = counts.episodes + (0 if counts.faults is None else counts.faults)
        fewest = int(tried.sum(axis=0).min() if counts.pooled else tried.min())
        if fewest < least:
            found = "1 episode" if fewest == 1 else f"{fewest} episodes"
            which = "the primary arm" if counts is primary else counts.arm.name
            return f"{found} at a task of {which}, {least} are the least"
    return ""


def training_effects(setting: Setting, alpha: float) -> tuple[Interval | None, Interval | None, bool]:
    """((treated, live) - (base, live), the interaction effect, both closed arms at the floor) on the hard tasks."""
    return _training(setting, setting.study.arm(setting.study.primary), alpha)


def gather(study: StudyCounts, thresholds: Thresholds, exact: bool, checks: Iterable[Check]) -> Evidence:
    """Everything ``decide`` needs, from counts. *exact*: whether p0 may be used (see ``checks.agreement``)."""
    setting, primary, alpha = make_setting(study, thresholds, exact), study.arm(study.primary), thresholds.alpha
    printed = thresholds.alpha_report / 2

    def gain(mask: Mask, error: float = alpha) -> Interval | None:
        return setting.gain(primary, mask, error)

    absent, absent_beyond = (gain(m, printed) for m in (setting.everything, setting.beyond))
    training, interaction, floor = _training(setting, primary, alpha)
    gate, against = leak(setting, primary, thresholds), all_axes(setting, primary, thresholds)
    created = gate.passed and all(a.passed for a in against)
    return Evidence(
        family=study.family,
        mechanism=study.mechanism,
        arm=primary.arm.name,
        seeds=_runs(setting, primary),
        tasks=study.test.size,
        hard_tasks=int(setting.hard.sum()),
        violated=tuple(c for c in checks if c.status == "violated"),
        leak=gate,
        axes=against,
        gain=gain(setting.everything),
        gain_hard=gain(setting.hard),
        gain_tail=gain(setting.tail),
        gain_core=gain(setting.core),
        absent=absent.high if absent else None,
        absent_beyond=absent_beyond.high if absent_beyond else None,
        training=training,
        interaction=interaction,
        closed_floor=floor,
        internalised=_internalised(setting, alpha),
        matched=study.matched,
        transfer=study.transfer,
        reproduced=_reproduced(setting, primary, alpha),
        closed_gains=_closed_gains(setting, alpha),
        cheaper=_cheaper(setting, primary, printed),
        surplus=ledger.surplus_nats(setting, primary, printed) if created else NOT_SAID,
        newly=ledger.newly_within_reach(setting, primary, printed) if created else NOT_SAID,
        equivalent_k=ledger.equivalent_k(setting, primary, setting.hard, printed) if created else NOT_SAID,
        p=ledger.success_rate(primary, setting.hard, printed, ledger.NO_HARD),
        blocked=_blocked(setting, primary),
        exact=exact,
    )
