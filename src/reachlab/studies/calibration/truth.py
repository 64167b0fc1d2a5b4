"""What is true of a world, computed from its exact laws and the thresholds; never written down by hand.

The same questions as the decision table's, asked of the population instead of a sample: no limits, no tests, none of
the verdict's code. Not covered: what a study would find (``trial``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reachlab import NO_INFORMATION_WORLDS, Arm, FloatArray, Thresholds, Treatment, World
from reachlab.measure import best_of, required_nats
from reachlab.studies.calibration.process import CLOSED_TOKENS
from reachlab.studies.calibration.worlds import ARMS, PRIMARY, TabularWorld

ROUNDING = 1e-8
"""Boundary worlds are solved to about this: what is not above it is not above 0."""
SILENT = "none"
"""No rung of the table is true: UNDECIDED is the only right answer."""


@dataclass(frozen=True, slots=True)
class Truth:
    """A world's label."""

    regime: str
    """The highest rung that is true, INVALID, or ``none``."""
    creation: bool
    hard: float
    """Share of the types with p0 < t."""
    claims: tuple[str, ...]
    """Every C rung that is true."""
    elicited: tuple[str, ...]
    """Every E rung that is true, in the table's order."""


def truth(world: TabularWorld, thresholds: Thresholds) -> Truth:
    """The label of *world* under *thresholds*."""
    p = {arm: world.law(arm).success for arm in ARMS}
    hard = world.base.closed < thresholds.t
    leaks = bool(hard.any()) and _leaks(p, hard, thresholds)
    claims = () if leaks else _claims(world, p, hard, thresholds)
    elicited = _elicited(world, p, hard, thresholds)
    regime = elicited[0] if elicited else SILENT
    regime = "INVALID" if leaks and _shuffled_stands_out(p, hard) else claims[-1] if claims else regime
    return Truth(regime, bool(claims), float(hard.mean()), claims, elicited)


def _above(left: FloatArray, right: FloatArray, on: np.ndarray) -> bool:
    return bool(on.any()) and float((left - right)[on].mean()) > ROUNDING


def _leaks(p: dict[Arm, FloatArray], hard: np.ndarray, th: Thresholds) -> bool:
    closed = p[Arm(Treatment.BASE, None, World.CLOSED)]
    shown = p[Arm(Treatment.RL, World.LIVE, World.SHUFFLED)] - closed
    return float((shown - th.leak_fraction * (p[PRIMARY] - closed))[hard].mean()) > -ROUNDING


def _shuffled_stands_out(p: dict[Arm, FloatArray], hard: np.ndarray) -> bool:
    silent, imagined, shuffled = (
        p[Arm(Treatment.RL, World.LIVE, w)] for w in (World.SILENT, World.IMAGINED, World.SHUFFLED)
    )
    return _above(shuffled, silent, hard) and _above(shuffled, imagined, hard)


def axes(world: TabularWorld, reach: FloatArray, hard: np.ndarray, th: Thresholds) -> tuple[float, float, float]:
    """(surplus nats, success above best-of-k, share newly within reach) on the hard types against a base of *reach*."""
    live = world.law(PRIMARY)
    p = float(live.success[hard].mean())
    k = max(1.0, float(world.tokens(PRIMARY)[hard].mean()) / CLOSED_TOKENS)
    surplus = required_nats(reach[hard], p) - float(live.nats[hard].mean())
    new = (live.success[hard] >= th.tau) & (reach[hard] < th.t)
    return surplus, p - float(best_of(reach[hard], k).mean()), float(new.mean())


def _claims(world: TabularWorld, p: dict[Arm, FloatArray], hard: np.ndarray, th: Thresholds) -> tuple[str, ...]:
    if not hard.any():
        return ()
    bases = {w: p[Arm(Treatment.BASE, None, w)] for w in (*NO_INFORMATION_WORLDS, World.LIVE)}
    if any(value <= ROUNDING for w in NO_INFORMATION_WORLDS for value in axes(world, bases[w], hard, th)):
        return ()
    found, closed = ["C1"], p[Arm(Treatment.RL, World.CLOSED, World.CLOSED)]
    training, rival = p[PRIMARY] - bases[World.LIVE], closed - bases[World.CLOSED]
    if _above(training, np.zeros_like(training), hard) and _above(training, rival, hard):
        found.append("C2")
    kept = [p[Arm(Treatment.DISTIL, World.LIVE, World.CLOSED)], p[Arm(Treatment.RL, World.LIVE, World.CLOSED)]]
    if any(_above(k, closed, hard) and _above(k, bases[World.CLOSED], hard) for k in kept):
        found.append("C3")
    return tuple(found)


def _elicited(
    world: TabularWorld, p: dict[Arm, FloatArray], hard: np.ndarray, th: Thresholds
) -> tuple[str, ...]:
    """The E rungs that are true. E1 and E2 need that there is no gain on the hard types, E0 that there is none."""
    closed, arm = p[Arm(Treatment.BASE, None, World.CLOSED)], p[PRIMARY]
    core = world.base.closed >= th.tau
    tail, gains = ~hard & ~core, _above(arm, closed, hard)
    bare = [p[a] for a in ARMS if a.evaluated in NO_INFORMATION_WORLDS[1:]]
    half = th.reproduced * arm + (1 - th.reproduced) * closed
    within = {"E2": not gains and _above(arm, closed, tail), "E1": not gains and _above(arm, closed, core)}
    found = {
        "E4": gains and any(_above(b, half, hard) for b in bare),
        "E3": _above(p[Arm(Treatment.RL, World.CLOSED, World.CLOSED)], closed, hard),
        **within,
        "E0": not gains and not any(within.values()),
    }
    return tuple(rung for rung, true in found.items() if true)
