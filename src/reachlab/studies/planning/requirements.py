"""What each condition of creation needs alone, in closed form: where a search starts, and why none may be needed.

Not covered: conditions that share their error or their luck; simulated studies have the last word (``search``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from scipy import optimize, stats

from reachlab import Thresholds
from reachlab.measure import kl
from reachlab.studies.planning.effect import Effect

SUPPORT = 3
"""Place of the support axis among the requirements."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one of the conditions of creation needs if all others were met for nothing."""

    name: str
    tasks: int | None
    """Test tasks; None where the effect is on the wrong side."""
    base_episodes: int | None = None
    """Episodes of the base on hard tasks in each world without information; None where a bound makes up for them."""
    reason: str = ""
    """Why no number of tasks is enough."""


def least_tasks(weight: float, margin: float, variance: float, alpha: float, power: float) -> float:
    """Tasks at which the one-sided limit of a mean leaves it on the right side with probability *power*.

    The larger of ln(alpha) / ln(1 - weight) and (z_alpha + z_power)^2 variance / margin^2. The first is exact for equal
    task means: the limit only has to survive one unseen task, as bad as can be, of which the mean would bear *weight*.
    The second is the normal sample size for task means of this *variance*, *margin* away.
    """
    z = float(stats.norm.isf(alpha)) + float(stats.norm.ppf(power))
    unseen = math.log(alpha) / math.log1p(-weight) if weight < 1 else 1.0
    return max(1.0, unseen, max(z, 0.0) ** 2 * variance / margin**2)


def attempts_for(share: float, t: float, alpha: float) -> int:
    """Base episodes without a hit until U/t <= *share*: ln(alpha) / ln(1 - t share), about -ln(alpha) / (t share)."""
    return math.ceil(math.log(alpha) / math.log1p(-t * share))


def requirements(
    effect: Effect, th: Thresholds, power: float = 0.95, episodes: int = 16, seeds: int = 1
) -> tuple[Requirement, ...]:
    """Each condition alone: ``least_tasks`` hard tasks, over the share of tasks that are hard.

    With success s, p0 closed, gain g = s - p0, cost ratio k and leak fraction f:

    ==========  ==========================  =============================================  =========
    condition   margin                      weight w that an unseen task may have          error
    ==========  ==========================  =============================================  =========
    gain        g                           g / (g + t), the base solving it; or           alpha
                                            g / (g + 1) where p0 is sampled
    divergence  s - p*, kl(p*, p0) = spent  kl(s (1-w), p0) = spent (1+w): it fails, at    alpha / 3
                                            twice the nats
    compute     s - p*, p* = 1 - (1-p0)^k   1 - p*/s: it fails                             alpha / 2
    support     s - p*,                     1 - p*/s                                       alpha / 2
                p* = tau + (1-tau) p0 / t
    leak gate   f g                         f g / (1 + f g): shuffled solves it            alpha
    ==========  ==========================  =============================================  =========

    The variance of task means is s (1-s) / (episodes seeds) + spread^2, for the leak gate f^2 times that. So the leak
    gate takes about ln(1/alpha) / (f g) hard tasks. Without a policy-free bound support also takes ``attempts_for``
    base episodes in each world without information, spread over the hard tasks.
    """
    s = effect.success
    variance, found = s * (1 - s) / (episodes * seeds) + effect.spread**2, []
    for c in _conditions(effect, th):
        if c.margin > 0:
            alone = least_tasks(c.weight(), c.margin, c.scale**2 * variance, c.error, power) / effect.hard
            found.append(Requirement(c.name, math.ceil(alone)))
        else:
            found.append(Requirement(c.name, None, reason=c.reason))
    support = found[SUPPORT].tasks
    if not effect.bound and support is not None:
        attempts = attempts_for((s - th.tau) / (1 - th.tau), th.t, th.alpha / 2)
        spread = attempts / (episodes * effect.base_repeats) / effect.hard
        found[SUPPORT] = Requirement("support", max(support, math.ceil(spread)), attempts)
    return tuple(found)


class _Condition(NamedTuple):
    """A row of the table in ``requirements``."""

    name: str
    margin: float
    weight: Callable[[], float]
    error: float
    reason: str
    """What is wrong where the margin is not above 0."""
    scale: float = 1.0
    """Of the contrast's deviation to that of success."""


def _conditions(effect: Effect, th: Thresholds) -> list[_Condition]:
    s, p0, a, f, gain = effect.success, effect.closed, th.alpha, th.leak_fraction, effect.success - effect.closed
    worst = th.t if effect.exact else 1.0
    bought, matched = _bought(effect), -math.expm1(effect.cost * math.log1p(-p0))
    reach = th.tau + (1 - th.tau) * min(1.0, p0 / th.t)
    short = f"success {s:.3g} is not above"
    paid = f"{short} the {bought:.3g} that reweighting reaches for the {effect.spent:.3g} nats spent"
    near = f"{short} {reach:.3g} = tau + (1 - tau) p0 / t (tau {th.tau:.3g}: a coin flip in {th.tau_attempts} attempts)"
    return [
        _Condition("gain", gain, lambda: gain / (gain + worst), a, f"{short} the closed base's {p0:.3g}"),
        _Condition("divergence", s - bought, lambda: _priced_weight(effect), a / 3,
                   f"{paid}: divergence is silent, only compute speaks"),
        _Condition("compute", s - matched, lambda: 1 - matched / s, a / 2,
                   f"{short} the {matched:.3g} of {effect.cost:.3g} closed samples, which cost as much"),
        _Condition("support", s - reach, lambda: 1 - reach / s, a / 2,
                   f"{near}: no task is newly within reach for certain"),
        _Condition("leak gate", f * gain, lambda: f * gain / (1 + f * gain), a, "no gain to hold a leak against", f),
    ]  # fmt: skip


def _bought(effect: Effect) -> float:
    """p*: the success that reweighting the closed base reaches for the spent nats, kl(p*, p0) = spent."""
    p0 = effect.closed
    if effect.spent >= float(kl(1.0, p0)):
        return 1.0
    return float(optimize.brentq(lambda p: float(kl(p, p0)) - effect.spent, p0, 1.0, xtol=1e-12))


def _priced_weight(effect: Effect) -> float:
    """The w at which kl(s (1-w), p0) = spent (1+w)."""
    s, p0 = effect.success, effect.closed

    def left(w: float) -> float:
        return float(kl(max(s * (1 - w), p0), p0)) - effect.spent * (1 + w)

    return float(optimize.brentq(left, 0.0, 1.0, xtol=1e-15)) if effect.spent else 1 - p0 / s
