"""Tilts of a policy as rules over whole sampled episodes: which of the draws is kept, and what that costs at least.

``Gibbs(beta)`` is pi ∝ pi0 exp(r/beta), by one of two samplers:

============  ==========================================================================================================
rejection     draws until one is accepted, with probability exp((r - 1)/beta): exact, since no reward exceeds 1 (von
              Neumann 1951). The expected number of draws is 1 / E exp((r - 1)/beta), at most exp(1/beta)
resampling    one of n draws, with probability in proportion to exp(r/beta): self-normalised importance resampling
              (Rubin 1987, JASA 82, 543), biased towards pi0 by O(1/n); the effective sample size says how much is left
============  ==========================================================================================================

``BestOf(n)`` keeps a draw of the highest reward, ties broken at random without looking at content: only then is it
a tilt whose KL is known. (``policies.search`` has a best-of-n too: it votes among answers and stops at a success.)

Nothing here knows tasks or tokens; ``reachlab.studies.tilting`` draws the episodes and reads off success, KL and cost.
Not covered: tilts of single tokens (``policies.tabular`` has them exactly), learned tilts (the learner).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from reachlab import FloatArray
from reachlab.errors import BadValue, UnknownName

Sampler = Literal["rejection", "resampling"]
SAMPLERS: tuple[Sampler, ...] = ("rejection", "resampling")
LEAST_EFFECTIVE = 16.0
"""Effective draws below which a resample says little about the tilt: a share of .5 is known to .25 with them."""


@dataclass(frozen=True, slots=True)
class Gibbs:
    """pi ∝ pi0 exp(r/beta)."""

    beta: float
    """Temperature, in units of reward; > 0."""
    sampler: Sampler = "rejection"
    draws: int = 1024
    """rejection: most draws for one episode; resampling: how many are drawn."""

    def __post_init__(self) -> None:
        if not 0 < self.beta < math.inf:
            raise BadValue("beta of a tilt", self.beta, "a finite number above 0")
        if self.sampler not in SAMPLERS:
            raise UnknownName("sampler", self.sampler, SAMPLERS)
        _check_count("draws of a tilt", self.draws)

    @property
    def name(self) -> str:
        return f"gibbs({self.beta:g}) by {self.sampler}"


@dataclass(frozen=True, slots=True)
class BestOf:
    """The best of *draws* episodes."""

    draws: int

    def __post_init__(self) -> None:
        _check_count("draws of best-of-n", self.draws)

    @property
    def name(self) -> str:
        return f"best-of-{self.draws}"


Rule = Gibbs | BestOf


def accepts(reward: float, beta: float, uniform: float) -> bool:
    """Whether rejection keeps a draw of this *reward* in [0, 1], given a uniform of its own."""
    if not 0 <= reward <= 1:
        raise BadValue("reward of a tilted episode", reward, "0 to 1: rejection is exact only below a known bound")
    return uniform < math.exp((reward - 1) / beta)


def keep(rewards: Sequence[float], rule: Rule, rng: np.random.Generator) -> int:
    """Which of the draws (at least one) is kept: by weight (resampling), or the best."""
    given = np.asarray(rewards, dtype=float)
    if isinstance(rule, BestOf):
        return int(rng.choice(np.flatnonzero(given == given.max())))
    weights = gibbs_weights(given, rule.beta)
    return int(rng.choice(len(given), p=weights / weights.sum()))


def gibbs_weights(rewards: npt.ArrayLike, beta: float) -> FloatArray:
    """exp((r - max r)/beta) of (K,) *rewards*: the largest weight is 1, so nothing overflows."""
    given = np.asarray(rewards, dtype=float)
    out: FloatArray = np.exp((given - given.max()) / beta)
    return out


def effective_draws(weights: FloatArray) -> float:
    """(sum w)^2 / sum w^2 (Kong 1992): how many draws of the tilt itself would be worth as much."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def least_effective_share(beta: float) -> float:
    """The least that effective draws can be of all draws, whatever the base: 1 / cosh(1/(2 beta))^2.

    Weights lie in a range of ratio exp(1/beta), so (E w)^2 / E w^2 >= 4 e / (1 + e)^2, e = exp(1/beta) (Kantorovich).
    """
    return 1 / math.cosh(min(0.5 / beta, 350.0)) ** 2


def most_gibbs_nats(beta: float) -> float:
    """The most nats that the tilt can spend, whatever the base and the rewards in [0, 1]: c - 1 - log c.

    c = e / (beta (e - 1)), e = exp(1/beta). Given the least density ratio the others lie within a factor e of it, so
    the mean of the convex w log w is largest for two values; then it is a maximum over p0 of the binary tilt's KL.
    """
    c = 1 / (beta * -math.expm1(-1 / beta))
    return c - 1 - math.log(c)


def _check_count(what: str, count: int) -> None:
    if count < 1:
        raise BadValue(what, count, "at least 1")
