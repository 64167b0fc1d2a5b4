"""What the base reaches in one world: exactly, by sampling, or by a policy-free bound (DESIGN 1, Exact p0)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from reachlab import FloatArray
from reachlab.measure import frontier as f
from reachlab.measure.intervals import pooled_upper

Kind = Literal["exact", "sampled", "bound", "missing"]


@dataclass(frozen=True, slots=True)
class Reach:
    """The base's reach in one world on a set of N tasks. Give ``p0``, or ``hits`` of ``attempts``, or ``bound``.

    Never plugs hits/attempts into D: 0 of n would read as infinitely many required nats. Without ``p0`` every
    quantity rests on U, an upper limit of mean p0: D(p) >= kl(p, U) and best-of-k <= 1-(1-U)^k by joint convexity.
    """

    world: str
    p0: FloatArray | None = None
    """Exact success (N,) of the base at each task."""
    hits: int = 0
    attempts: int = 0
    """Pooled over the tasks, equally many at each."""
    bound: float | None = None
    """Mean over the tasks of a bound that holds for every policy without information."""
    top: float = 1.0
    """What exact p0 cannot exceed in the population that these tasks come from: t on the hard tasks."""

    @property
    def kind(self) -> Kind:
        """How ``upper`` is known; sampled and bound together count as sampled, since either may be the smaller."""
        if self.p0 is not None:
            return "exact"
        if self.attempts:
            return "sampled"
        return "missing" if self.bound is None else "bound"

    @property
    def random(self) -> bool:
        """Whether ``upper`` needs a share of the error probability."""
        return self.kind == "sampled"

    def upper(self, alpha: float) -> float:
        """U: upper limit of mean p0 with one-sided error *alpha* (0 where it is exact or a bound)."""
        if self.p0 is not None:
            return float(self.p0.mean())
        sampled = pooled_upper(self.hits, self.attempts, alpha)
        return sampled if self.bound is None else min(sampled, self.bound)

    def required(self, p: float, alpha: float) -> float:
        """Nats that reweighting must spend for mean success *p*: D(p) if exact, else at least kl(p, U)."""
        if self.p0 is not None:
            return f.required_nats(self.p0, p)
        upper = self.upper(alpha)
        return float(f.kl(p, upper)) if p > upper else 0.0

    def best_of(self, k: float, alpha: float) -> float:
        """Mean success of the best of *k* attempts: exact, else at most 1-(1-U)^k."""
        if self.p0 is not None:
            return float(f.best_of(self.p0, k).mean())
        upper = self.upper(alpha)
        return 1.0 if upper >= 1 else -math.expm1(k * math.log1p(-upper))

    def share_floor(self, p: float, tau: float, t: float, alpha: float) -> float:
        """Least share of tasks newly within reach at mean success *p*: (p - tau)/(1 - tau) - U/t (DESIGN 2).

        A mean of *p* needs at least the first share of tasks above tau; at most U/t of them can have had p0 >= t
        (Markov), which is known exactly for exact p0. May be negative; then it says nothing.
        """
        accessible = min(1.0, self.upper(alpha) / t) if self.p0 is None else float((self.p0 >= t).mean())
        return (p - tau) / (1 - tau) - accessible

    def equivalent_k(self, p: float, alpha: float) -> float:
        """K at which best-of-k reaches *p*: exact, else at least log(1-p) / log(1-U). May be infinite."""
        if self.p0 is not None:
            return f.equivalent_k(self.p0, p)
        upper = self.upper(alpha)
        if p <= 0 or upper >= 1:
            return 0.0
        if p >= 1 or upper <= 0:
            return math.inf
        return math.log1p(-p) / math.log1p(-upper)
