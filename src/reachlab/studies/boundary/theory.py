"""What p0 alone says: in which region a task lies, and which budget closed reweighting needs there.

Pure functions of p0 and the thresholds; nothing here knows what was measured.

======  ======================  ================================================================================
region  p0                      a gain there is
======  ======================  ================================================================================
E1      tau_a and more          core reweighting: a few closed attempts get there too
E2      from t to tau_a         tail elicitation: k_acc closed attempts get there too
C       below t                 creation, if no world without information shows it and training closed does not
======  ======================  ================================================================================

At the borders pass@k = 1/2 for k = ``tau_attempts`` and k = ``k_acc``: they are one line, seen from the two axes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np

from reachlab import FloatArray, Thresholds
from reachlab.measure import equivalent_k, required_nats

REACHED = 0.5
"""The success from which a budget is said to reach a task: what accessible support is defined by."""


class Region(StrEnum):
    """Where a task lies, by its closed-book p0."""

    E1 = "E1"
    E2 = "E2"
    C = "C"


READ_AS = {"E1": Region.E1, "E2": Region.E2, "C1": Region.C, "C2": Region.C, "C3": Region.C, "C4": Region.C}
"""The verdicts that place a gain in a region. E3 and E4 are gains on hard tasks that are no creation."""


def region(p0: float, thresholds: Thresholds) -> Region:
    """The region of a task with this p0."""
    if p0 >= thresholds.tau:
        return Region.E1
    return Region.E2 if p0 >= thresholds.t else Region.C


def shares(p0: FloatArray, thresholds: Thresholds) -> dict[str, float]:
    """How much of the tasks lies in each region: a dial value need not be all in one."""
    places = [region(float(p), thresholds) for p in p0]
    return {str(r): sum(place == r for place in places) / len(places) for r in Region}


def samples_for(p0: float, tau: float) -> float:
    """The k at which pass@k = tau: closed samples with a perfect verifier."""
    return equivalent_k(np.array([p0]), tau)


def nats_for(p0: float, tau: float) -> float:
    """The delta at which R(delta) = tau: kl(tau, p0), or 0 where p0 is enough."""
    return required_nats(np.array([p0]), tau)


def calls_for(optimum: Callable[[int], float], tau: float, most: int) -> int | None:
    """The fewest calls, up to *most*, with which the best live policy succeeds with tau; None if no number does."""
    return next((calls for calls in range(1, most + 1) if optimum(calls) >= tau), None)
