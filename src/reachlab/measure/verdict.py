"""The decision table of DESIGN section 2, exhaustive, in order: INVALID, the C rungs, E4, E3, E2, E1, E0, UNDECIDED.

``decide`` is a pure function of the evidence; ``decide_with_faults`` also asks whether the verdict survives every
fault being counted against it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from reachlab import Thresholds
from reachlab.measure.evidence import Evidence, met
from reachlab.measure.intervals import Interval
from reachlab.measure.wording import sentence


class Rung(StrEnum):
    """What a study found."""

    INVALID = "INVALID"
    """A theorem check is violated, or the leak gate fails with shuffled above silent and imagined."""
    E0 = "E0"
    """No gain over the closed base."""
    E1 = "E1"
    """Gain only where p0 >= tau: core reweighting, or a cheaper way to the same reach."""
    E2 = "E2"
    """Gain where t <= p0 < tau: tail elicitation."""
    E3 = "E3"
    """Gain on hard tasks by an arm evaluated closed that never met the world: its training data carried it."""
    E4 = "E4"
    """Gain on hard tasks that a no-information world reproduces: format or room."""
    C1 = "C1"
    """Affordance-borne expansion."""
    C2 = "C2"
    """Learned affordance use."""
    C3 = "C3"
    """Internalised."""
    C4 = "C4"
    """C2 or C3 on a family it was not trained on."""
    UNDECIDED = "UNDECIDED"
    """None of these is established at the required error."""

    @property
    def creation(self) -> bool:
        return self.value.startswith("C")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The rung, the sentence that says it, and what it rests on."""

    rung: Rung
    sentence: str
    evidence: Evidence


def _shown(contrast: Interval | None) -> bool:
    return contrast is not None and contrast.low > 0


def claims(ev: Evidence) -> frozenset[Rung]:
    """The C rungs whose conditions hold; C1 is implied by each of the others."""
    gate = ev.leak.passed and len(ev.axes) > 0 and all(a.passed for a in ev.axes)
    if not gate or ev.hard_tasks == 0:
        return frozenset()
    found = {Rung.C1}
    if _shown(ev.training) and _shown(ev.interaction):
        found.add(Rung.C2)
    if ev.matched and met(ev.internalised) is not None:
        found.add(Rung.C3)
    if ev.transfer and len(found) > 1:
        found.add(Rung.C4)
    return frozenset(found)


def _elicitation(ev: Evidence, thresholds: Thresholds) -> Rung:
    hard = _shown(ev.gain_hard)
    if hard and met(ev.reproduced) is not None:
        return Rung.E4
    if met(ev.closed_gains) is not None:
        return Rung.E3
    none_beyond = not hard and (ev.absent_beyond is None or ev.absent_beyond < thresholds.margin)
    if none_beyond and _shown(ev.gain_tail):
        return Rung.E2
    if none_beyond and _shown(ev.gain_core):
        return Rung.E1
    nowhere = not any(_shown(g) for g in (ev.gain, ev.gain_hard, ev.gain_tail, ev.gain_core))
    if nowhere and ev.absent is not None and ev.absent < thresholds.margin:
        return Rung.E0
    return Rung.UNDECIDED


def rung_of(ev: Evidence, thresholds: Thresholds, held: frozenset[Rung] | None = None) -> Rung:
    """The rung of the table; *held* replaces the C claims by those that survived something else as well."""
    if ev.violated or (ev.leak.gate is not None and not ev.leak.passed and ev.leak.shuffled_above):
        return Rung.INVALID
    if ev.blocked:
        return Rung.UNDECIDED
    found = claims(ev) if held is None else held
    return max(found) if found else _elicitation(ev, thresholds)


def decide(evidence: Evidence, thresholds: Thresholds) -> Verdict:
    """The verdict on this evidence."""
    rung = rung_of(evidence, thresholds)
    return Verdict(rung, sentence(str(rung), evidence, thresholds), evidence)


def decide_with_faults(
    evidence: Evidence, thresholds: Thresholds, faults: int, count: Callable[[bool], Evidence]
) -> Verdict:
    """The verdict if it survives the faults, else UNDECIDED.

    *count(against)* gathers the evidence with faults as failures of the arm and successes of the base, or the
    reverse. A C rung must survive the first (a lower C rung whose claim does survive is kept); an E rung must
    survive both, because faults in the arm's disfavour hide gains.
    """
    plain = decide(evidence, thresholds)
    if not faults or plain.rung in (Rung.INVALID, Rung.UNDECIDED):
        return plain
    against = count(True)
    if plain.rung.creation:
        held = claims(evidence) & claims(against)
        rung = max(held) if held else Rung.UNDECIDED
    else:
        readings = {rung_of(ev, thresholds, frozenset()) for ev in (evidence, against, count(False))}
        created = claims(against) or claims(count(False))
        rung = plain.rung if readings == {plain.rung} and not created else Rung.UNDECIDED
    note = f"{plain.rung} does not survive {faults} faults counted against it" if rung != plain.rung else ""
    return Verdict(rung, sentence(str(rung), evidence, thresholds, note), evidence)
