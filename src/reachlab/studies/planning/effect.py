"""An effect that a study is to find: as numbers, read from a finished run, and as a tabular world that has it.

Not covered: how large a study must be (``search``); a base that does better in another world without information
than closed; faults.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy import optimize

from reachlab import Json
from reachlab.errors import BadValue
from reachlab.measure import kl
from reachlab.studies.calibration.process import CLOSED_TOKENS, TabularPolicy
from reachlab.studies.calibration.worlds import TYPES, TabularWorld, facts

LEAST_EASY = 1e-3
"""What is not hard is at least this easy."""
ENUMERATED, BOUNDED = "exact p0 = ", "policy-free bound"
"""Checks that a study has only where p0 is enumerated, and only where the family states a bound."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What there is to find, on the hard tasks unless said otherwise."""

    success: float
    """Mean success of the primary arm."""
    closed: float
    """Mean closed-book success of the base, above 0."""
    spent: float
    """Mean spent nats of the primary arm."""
    hard: float = 1.0
    """Share of the tasks that are hard."""
    live: float | None = None
    """Base success live, raised to what the spent nats allow; None: as much as the arm's."""
    bound: bool = True
    """Whether the family states a policy-free bound on p0 (then it is taken to be ``closed``)."""
    cost: float = 3.0
    """k: inference tokens of the arm over those of one closed sample; by default as in the calibration's worlds."""
    exact: bool = True
    """Whether closed p0 is enumerated."""
    easy: float = 0.1
    """Closed success of the other tasks: exact p0 is believed where it is seen to agree with sampling."""
    spread: float = 0.0
    """Standard deviation of the arm's success between hard tasks; 0: they are alike."""
    base_repeats: int = 1
    """How often the base's episodes in the worlds without information are drawn (``Profile.base_repeats``)."""

    def __post_init__(self) -> None:
        for name in ("success", "hard", "easy", "live"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise BadValue(name, value, "0 to 1")
        if not 0 < self.closed < 1:
            raise BadValue("closed", self.closed, "above 0, below 1")
        for name, least in (("spent", 0.0), ("spread", 0.0), ("cost", 1.0)):
            if not least <= getattr(self, name) < math.inf:
                raise BadValue(name, getattr(self, name), f"at least {least:g}")


def effect_of(result: Json) -> Effect:
    """The effect that a finished run saw, from its result.json.

    Where no closed hit was seen p0 is its upper limit. The spread between tasks is what the printed interval of
    success leaves beside the sampling of episodes: rather too much in a small run. Raises BadValue for a run that saw
    none: no hard task, no signal, no nats.
    """
    arm = next(a for a in result["arms"] if a["primary"])
    share = float(result["hard"]["share"])
    if not share > 0:
        raise BadValue("hard tasks of the run", result["hard"]["tasks"], "at least 1 out of the base's reach")
    success, spent = arm["success_hard"], arm["spent_nats"].get("hard") or arm["spent_nats"]
    for what, found in (("success", success), ("spent nats", spent)):
        if found["value"] is None:
            raise BadValue(f"{what} of {arm['name']}", None, f"a number; {found['reason']}")
    p = float(success["value"])
    closed, mean = _closed(result["p0"]["hard"]), float(result["p0"]["value"] or 0.0)
    easy = (mean - share * closed) / (1 - share) if share < 1 else 0.0
    checks = [str(check["name"]) for check in result["checks"]]
    bound = any(BOUNDED in name for name in checks)
    return Effect(
        success=p,
        closed=closed,
        spent=max(0.0, float(spent["value"])),
        hard=share,
        live=_value(result["arms"], "base·live", "success_hard"),
        bound=bound,
        cost=max(1.0, float(arm["cost_matched_k"]["value"] or 1.0)),
        exact=any(name.startswith(ENUMERATED) for name in checks),
        easy=min(1.0, max(LEAST_EASY, easy)),
        spread=_spread(p, success["ci"], int(result["hard"]["tasks"]), arm["episodes"] / arm["tasks"]),
        base_repeats=1 if bound else int(result["spec"]["profile"]["base_repeats"]),
    )


def _closed(p0: Json) -> float:
    """Mean p0 of the hard tasks; its upper limit where it is 0, so that required nats stay finite."""
    value = p0["value"] or (p0.get("ci") or (None, None))[1]
    if not value:
        raise BadValue("closed p0 of the hard tasks", p0["value"], "above 0, or sampled")
    return float(value)


def _value(arms: Sequence[Json], name: str, key: str) -> float | None:
    found: Any = next((a[key]["value"] for a in arms if a["name"] == name), None)
    return None if found is None else float(found)


def _spread(p: float, ci: Sequence[float | None] | None, tasks: int, episodes: float) -> float:
    low = (ci or (None,))[0]
    deviation = 0.0 if low is None else (p - low) / 1.96 * math.sqrt(tasks)
    between = min(deviation**2, p * (1 - p)) - p * (1 - p) / episodes
    return math.sqrt(max(0.0, between))


@dataclass(frozen=True, slots=True, eq=False)
class PlannedWorld(TabularWorld):
    """A world whose base is sampled as a study of it would; calibration has its own numbers."""

    repeats: int = 1

    @property
    def oversampling(self) -> int:
        return self.repeats


def world_of(effect: Effect) -> PlannedWorld:
    """A world of fresh facts behind a tool in which *effect* is true; it must have hard tasks and a gain.

    Training makes the tool called more often, at kl(rate, the base's rate) nats; what is spent beyond that changes
    nothing. Spread: some of the hard tasks are never solved, the others alike.
    """
    count = max(1, round(effect.hard * TYPES))
    most = min(1.0, effect.success + effect.spread**2 / effect.success)
    solved = math.ceil(count * effect.success / most)
    number, full = np.arange(TYPES), np.ones(TYPES)
    p0 = np.where(number < count, effect.closed, max(effect.easy, LEAST_EASY))
    rate = effect.success * count / solved
    reached = (number < solved) | (number >= count)
    call = np.where(reached, np.clip((rate - p0) / (1 - p0), 0.0, 1.0), 0.0)
    base_call = call * _base_share(effect, call[:count])
    waste = max(0.0, effect.spent - float(kl(call[:count], base_call[:count]).mean()))
    untrained = TabularPolicy(base_call, full, p0, p0, 0 * full)
    made = facts(
        "planned", "the effect that a study is planned for", p0, base=untrained, closed=untrained, distil=untrained,
        live=TabularPolicy(call, full, p0, p0, waste * full), enumerated=p0 if effect.exact else None,
        bound=p0 if effect.bound else None, call_tokens=(effect.cost - 1) * CLOSED_TOKENS / float(call[:count].mean()),
    )  # fmt: skip
    return PlannedWorld(**{f.name: getattr(made, f.name) for f in fields(made)}, repeats=effect.base_repeats)


def _base_share(effect: Effect, call: np.ndarray) -> float:
    """The base's rate of calling over the arm's: that of its success live, or what the spent nats pay for if higher."""

    def unpaid(share: float) -> float:
        return float(kl(call, call * share).mean()) - effect.spent

    wanted = 1.0 if effect.live is None else min(1.0, max(effect.live / effect.success, 1e-12))
    return wanted if unpaid(wanted) <= 0 else float(optimize.brentq(unpaid, wanted, 1.0, xtol=1e-12))
