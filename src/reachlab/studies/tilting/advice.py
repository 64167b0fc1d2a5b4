"""What a tilt's reader must know before believing it: draws that were too few, lost or faults, and how many would do.

Not covered: whether beta or n is a sensible choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reachlab import FloatArray
from reachlab.policies.tilts import (
    LEAST_EFFECTIVE,
    Gibbs,
    Rule,
    effective_draws,
    gibbs_weights,
    least_effective_share,
)
from reachlab.studies.tilting.limits import Draws


def effective(draws: Draws, rule: Rule) -> float:
    """Effective draws of a resample; 0 where there is none."""
    if not draws.rewards or not isinstance(rule, Gibbs):
        return 0.0
    return effective_draws(gibbs_weights(draws.rewards, rule.beta))


def warnings(drawn: Sequence[Draws], rule: Rule, counts: FloatArray | None) -> list[str]:
    """What would be read wrongly without a word about it, and how many draws would do."""
    total, found = len(drawn), []
    if faults := sum(d.faults for d in drawn):
        found.append(f"{faults} draws were faults and are left out")
    if isinstance(rule, Gibbs) and counts is None and (lost := sum(d.kept is None for d in drawn)):
        most = math.exp(min(1 / rule.beta, 700.0))
        found.append(
            f"{lost} of {total} episodes had no draw accepted among {rule.draws}: "
            f"up to exp(1/beta) = {most:.3g} are needed in the mean; allow several times that, or raise beta"
        )
    if isinstance(rule, Gibbs) and counts is not None:
        found += _too_few(drawn, rule, counts)
    return found


def _too_few(drawn: Sequence[Draws], rule: Gibbs, counts: FloatArray) -> list[str]:
    """Effective draws seem plenty where all rewards are alike: such a pool may just have missed what the tilt is of."""
    total, found = len(drawn), []
    alike = np.array([len(set(d.rewards)) < 2 and 1.0 not in d.rewards for d in drawn])
    few = ~alike & (counts < LEAST_EFFECTIVE)
    if few.any():
        least = float(counts[few].min())
        found.append(
            f"fewer than {LEAST_EFFECTIVE:g} effective draws at {few.sum()} of {total} episodes (least {least:.3g} of "
            f"{rule.draws}): about {math.ceil(LEAST_EFFECTIVE / least * rule.draws)} draws would do, or a larger beta"
        )
    enough = LEAST_EFFECTIVE / least_effective_share(rule.beta)
    if alike.any() and rule.draws < enough:
        found.append(
            f"all rewards alike at {alike.sum()} of {total} episodes: {rule.draws} draws may have missed what the tilt "
            f"would raise; {math.ceil(enough):.4g} draws would do whatever p0 is, or a larger beta"
        )
    return found
