"""Where a gain lies: how much of it at tasks that k attempts of the base miss, without choosing tasks by their counts.

k attempts miss a task with w = (1 - p0)^k. Tasks picked because the base missed them would show regression to the mean
as a gain; mean w (p1 - p0) has an unbiased estimate instead, since 1 - pass@k is one of w, pass@(k+1) - pass@k one of
w p0, and the arm's counts are independent of both given the task. Every ``alpha`` is one-sided.

The decision table places a gain by the *mean* of a stratum. Strata of one difficulty, which it is made for, allow
that; a benchmark as a whole, or topics, mix tasks that the base always solves with others that it never does, and a
gain on the latter would read as reweighting. ``doubt`` says where counts do not bear such a reading.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reachlab import FloatArray, Thresholds, World
from reachlab.measure import Interval, Rung, Setting, Verdict, bounded_mean, pass_at_k
from reachlab.measure.flow import Counts
from reachlab.measure.records import Mask
from reachlab.measure.wording import number, sentence

MOST_K = 4096
"""Attempts beyond which pass@k is not asked for: it takes memory in proportion."""
MOSTLY = 0.5
"""Part of a gain that must be shown to lie within reach where no strata say what is."""


class Doubt(NamedTuple):
    """Why a gain is not shown to lie where a rung says."""

    rung: Rung
    why: str
    contradicted: bool = False
    """It is shown not to lie there, or not there alone."""

    @property
    def note(self) -> str:
        return f"{self.rung} is {'contradicted' if self.contradicted else 'not established'}: {self.why}"


def runs(setting: Setting, mask: Mask) -> tuple[Counts, Counts]:
    """(n, c) of the closed base and of the primary arm at the masked tasks."""
    study = setting.study
    base, arm = study.base(World.CLOSED), study.arm(study.primary)
    assert base is not None  # every table has it
    return (base.episodes[0, mask], base.successes[0, mask]), (arm.episodes[0, mask], arm.successes[0, mask])


def solved(setting: Setting, mask: Mask) -> Interval:
    """The closed base's mean success on the masked tasks, as printed."""
    (n, c), _ = runs(setting, mask)
    return bounded_mean(c / n, setting.thresholds.alpha_report / 2)


def soft(setting: Setting) -> bool:
    """Whether there are tasks named hard, and the base solves them too often for that."""
    return bool(setting.hard.any()) and solved(setting, setting.hard).low >= setting.thresholds.t


def most_attempts(base: Counts, thresholds: Thresholds) -> int:
    """The largest k that the base's attempts can speak of here; 0 where a task has only one."""
    return min(int(base[0].min()) - 1, thresholds.k_acc, MOST_K)


def missed_share(base: Counts, k: int, alpha: float) -> Interval:
    """Chance that *k* attempts of the base miss a task, mean over tasks; n >= k."""
    return bounded_mean(1 - pass_at_k(*base, k), alpha).clip()


def missed_gain(base: Counts, arm: Counts, k: int, alpha: float, part: float = 0.0) -> Interval:
    """Mean w (p1 - p0): the gain at tasks that *k* attempts of the base miss, less *part* of the whole; n > k."""
    values = _missed(base, arm, k) - part * (arm[1] / arm[0] - base[1] / base[0])
    return bounded_mean(np.clip(values, -1.0, 1.0), alpha, -1.0, 1.0)


def survive(setting: Setting, verdict: Verdict) -> tuple[Verdict, Doubt | None]:
    """The verdict and why it is doubted; a rung that places a gain where counts do not becomes UNDECIDED."""
    found = doubt(setting, verdict.rung)
    if found is None:
        return verdict, None
    words = sentence(str(Rung.UNDECIDED), verdict.evidence, setting.thresholds, found.note)
    return Verdict(Rung.UNDECIDED, words, verdict.evidence), found


def doubt(setting: Setting, rung: Rung) -> Doubt | None:
    """Why a gain that the table reads as *rung*, E1 or E2, is not shown to lie where that says; else None.

    E2: the base must be seen to solve such tasks at all. E1: if more than ``leak_fraction`` of the gain surely lies
    at tasks that as many attempts as there are miss, it is not only where p0 >= tau. One stratum for everything: it
    must be shown that ``MOSTLY`` of the gain is within reach. A task beyond it is missed with w >= 1/2 by
    tau_attempts (E1) or up to k_acc (E2) attempts, so the gain there is at most twice the gain missed, unless the arm
    loses elsewhere.
    """
    if rung not in (Rung.E1, Rung.E2):
        return None
    th, mask = setting.thresholds, setting.core if rung == Rung.E1 else setting.tail
    base, arm = runs(setting, mask)
    most, printed = most_attempts(base, th), th.alpha_report / 2
    if rung == Rung.E2 and solved(setting, mask).low < th.t:
        tried = f"{int(base[1].sum()):,} successes in {int(base[0].sum()):,} closed attempts"
        return Doubt(rung, f"{tried} do not show that the base solves such tasks (mean p0 of {number(th.t)})")
    if rung == Rung.E1 and most and _over(missed_gain(base, arm, most, th.alpha, th.leak_fraction), th, most):
        part = f"more than {100 * th.leak_fraction:g} % of the gain"
        return Doubt(rung, f"{part} is at tasks that {most:,} attempts of the base miss", contradicted=True)
    k = th.tau_attempts if rung == Rung.E1 else most
    one = len(setting.study.test.names()) == 1
    if one and not (0 < k <= most and missed_gain(base, arm, k, printed, MOSTLY / 2).high < 0):
        shown = f"it is not shown that most of the gain is at tasks that {k:,} closed attempts solve"
        return Doubt(rung, f"without strata {shown}")
    return None


def _over(excess: Interval, thresholds: Thresholds, k: int) -> bool:
    """Whether more is missed than tasks with p0 >= tau could add, w being at most (1 - tau)^k there."""
    return bool(excess.low > (1 - thresholds.tau) ** k)


def _missed(base: Counts, arm: Counts, k: int) -> FloatArray:
    first = pass_at_k(*base, k)
    out: FloatArray = (1 - first) * arm[1] / arm[0] - (pass_at_k(*base, k + 1) - first)
    return out
