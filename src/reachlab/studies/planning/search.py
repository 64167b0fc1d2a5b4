"""The least number of tasks at which the verdict's own code finds an effect, by simulated studies.

Whether there is anything to find follows from the effect and the world's truth, never from a search.
Not covered: rungs other than creation.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

from reachlab import Estimate, Json, Thresholds
from reachlab.errors import BadValue
from reachlab.measure import clopper_pearson, judge
from reachlab.seeding import generator
from reachlab.studies.calibration.draw import StudySize, draw
from reachlab.studies.calibration.truth import truth
from reachlab.studies.calibration.worlds import TabularWorld
from reachlab.studies.jobs import Report
from reachlab.studies.planning.effect import Effect, world_of
from reachlab.studies.planning.requirements import Requirement, requirements

MOST_TASKS = 20_000
"""No study larger than this is simulated; beyond it the closed forms stand alone."""
RATE_ALPHA = 0.025
"""One-sided error of the limits of the power (95 %)."""
CLEAR_ALPHA = 0.02
"""One-sided error at which the search takes a size for large or small enough before all its studies are drawn."""
GROWTH = (1.25, 1.5, 2.0)
"""The search widens by these factors, then by the last one: closed forms are seldom far off."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer."""

    effect: Effect
    requirements: tuple[Requirement, ...]
    size: StudySize | None = None
    """The study that finds it; None if none does."""
    claims: tuple[str, ...] = ()
    """The C rungs that are true of such an effect."""
    power: Estimate = field(default_factory=lambda: Estimate.missing("not simulated"))
    """Share of simulated studies of that size that read one of them, with its 95 % interval."""
    studies: int = 0
    """How many were simulated."""
    reason: str = ""
    """Why there is no size, or none that was simulated."""

    def to_json(self) -> Json:
        size = asdict(self.size) if self.size else {"tasks": None, "episodes": None, "seeds": None}
        return {
            **size,
            "power": self.power.to_json(),
            "studies": self.studies,
            "claims": list(self.claims),
            "reason": self.reason,
            "requirements": [asdict(r) for r in self.requirements],
            "effect": asdict(self.effect),
        }


@dataclass
class _Studies:
    """Simulated studies by number of tasks, each drawn from its own seed and judged once."""

    world: TabularWorld
    thresholds: Thresholds
    claims: tuple[str, ...]
    episodes: int
    seeds: int
    replicates: int
    wanted: float
    """The power that is asked for."""
    seed: int
    report: Report
    found: dict[int, list[bool]] = field(default_factory=dict)
    ahead: int = 0
    """Sizes that the search may still look at."""

    @property
    def done(self) -> int:
        """How many were judged."""
        return sum(map(len, self.found.values()))

    @property
    def least(self) -> int:
        """Of ``replicates`` studies as many have to find it."""
        return math.ceil(self.wanted * self.replicates)

    def enough(self, tasks: int) -> bool:
        """Whether studies of this size seem to have the power; stops where that is clear from fewer than all."""
        found = self.found.setdefault(tasks, [])
        while len(found) < self.replicates:
            self._draw(tasks)
            limits = clopper_pearson(sum(found), len(found), CLEAR_ALPHA)
            if not limits.low <= self.wanted <= limits.high:
                return limits.low > self.wanted
        return sum(found) >= self.least

    def hits(self, tasks: int) -> int:
        """How many of all studies of this size found it."""
        while len(self.found.setdefault(tasks, [])) < self.replicates:
            self._draw(tasks)
        return sum(self.found[tasks])

    def _draw(self, tasks: int) -> None:
        found, size = self.found[tasks], StudySize(tasks, self.episodes, self.seeds)
        study = draw(self.world, size, generator(self.seed, "plan", len(found)))
        found.append(str(judge(study, self.thresholds).verdict.rung) in self.claims)
        left = self.replicates - len(found) + self.ahead * self.replicates
        self.report(self.done, self.done + left, f"{tasks:,} tasks: found in {sum(found)} of {len(found)} studies")


def _search(studies: _Studies, start: int, fineness: int) -> int | None:
    """The least number of tasks with the power, to one part in *fineness*; None: not up to ``MOST_TASKS``."""
    low, high, step = 0, start, 0
    studies.ahead = 4
    while not studies.enough(high):
        if high >= MOST_TASKS:
            return None
        factor = GROWTH[min(step, len(GROWTH) - 1)]
        low, high, step = high, min(math.ceil(factor * high), MOST_TASKS), step + 1
    while high - low > max(1, high // fineness):
        studies.ahead = math.ceil(math.log2((high - low) / max(1, high // fineness)))
        middle = (low + high) // 2
        low, high = (low, middle) if studies.enough(middle) else (middle, high)
    studies.ahead = 0
    while studies.hits(high) < studies.least:  # it only seemed to have it
        if high >= MOST_TASKS:
            return None
        high = min(high + max(1, high // fineness), MOST_TASKS)
    return high


def plan(
    effect: Effect,
    thresholds: Thresholds | None = None,
    power: float = 0.95,
    episodes: int = 16,
    seeds: int = 1,
    *,
    replicates: int = 200,
    fineness: int = 20,
    seed: int = 0,
    report: Report = lambda done, total, running: None,
) -> Plan:
    """The least number of tasks at which a true C rung is read with probability *power*; the same for the same *seed*.

    *replicates* studies are simulated at each size that is looked at, and tasks are found to one part in *fineness*.
    *seeds* are training runs.
    """
    th = thresholds or Thresholds()
    check(th, power, episodes, seeds)
    needs, wrong = _wrong_side(effect, th, power, episodes, seeds)
    world = None if wrong else world_of(effect)
    claims = () if world is None else truth(world, th).claims
    if world is None or not claims:
        return Plan(effect, needs, reason=wrong or "no C rung is true of it")
    start = max(r.tasks or 1 for r in needs)
    if start > MOST_TASKS:
        why = f"more than {MOST_TASKS:,} tasks are not simulated; by the closed forms"
        return Plan(effect, needs, StudySize(start, episodes, seeds), claims, reason=why)
    studies = _Studies(world, th, claims, episodes, seeds, replicates, power, seed, report)
    tasks = _search(studies, start, fineness)
    report(studies.done, studies.done, "")
    if tasks is None:
        why = f"{MOST_TASKS:,} tasks show it in less than {100 * power:g} % of studies"
        return Plan(effect, needs, claims=claims, reason=why)
    found = clopper_pearson(studies.hits(tasks), replicates, RATE_ALPHA).estimate()
    return Plan(effect, needs, StudySize(tasks, episodes, seeds), claims, found, replicates)


def _wrong_side(
    effect: Effect, th: Thresholds, power: float, episodes: int, seeds: int
) -> tuple[tuple[Requirement, ...], str]:
    """The requirements, and why no study meets them; without a gain nothing else is worth saying."""
    if not effect.hard > 0:
        return (), "no task is hard: the closed base reaches them all"
    if effect.closed >= th.t:
        return (
            (),
            f"closed success {effect.closed:.3g} is not below {th.t:.2g}: the closed base reaches such tasks itself",
        )
    needs = requirements(effect, th, power, episodes, seeds)
    wrong = [r.reason for r in needs if r.tasks is None]
    return needs, "; ".join(wrong[:1] if needs[0].tasks is None else wrong)


def check(th: Thresholds, power: float, episodes: int, seeds: int) -> None:
    """Raises BadValue for what no study can have."""
    if not 0 < th.alpha < 0.5:
        raise BadValue("alpha", th.alpha, "above 0, below 0.5")
    if not 0 < power < 1:
        raise BadValue("power", power, "above 0, below 1")
    if episodes < th.min_episodes:
        raise BadValue("episodes", episodes, f"at least {th.min_episodes}, the fewest that a verdict takes")
    if seeds < 1:
        raise BadValue("seeds", seeds, "at least 1")
