"""Draws the base's episodes for a tilt and keeps one of them for each task.

Draw j of an episode depends on the episode's seed and j alone, and so does what is kept: not on the other tasks. The
kept episode carries the cost of all of its draws, as a search's does; its seed is that of the draw, so it replays.
Draws that are faults are neither kept nor weighed, but paid for and counted.

Not covered: early stopping of best-of-n at a first success (the same law, at a lower cost where rewards are binary).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from reachlab import Budget, Cost, Episode, Estimate, Family, FloatArray, Imaginer, IntArray, Policy, Task, World
from reachlab.errors import BadValue
from reachlab.policies.tilts import Gibbs, Rule, accepts, keep
from reachlab.seeding import derive, generator
from reachlab.studies.rollout import rollout
from reachlab.studies.tilting import advice, limits
from reachlab.studies.tilting.limits import Draws

SIDE_BY_SIDE = 256
"""Episodes that are drawn together."""


@dataclass(frozen=True, slots=True)
class Tilted:
    """What a tilt came to. N episodes were asked for."""

    name: str
    episodes: tuple[Episode | None, ...]
    """The draw kept of each, at the cost of all of its draws; None where none was kept."""
    draws: IntArray
    """(N,) how many were drawn, faults included."""
    success: Estimate
    """Mean reward under the tilt, from the draws."""
    exact: Estimate
    """The same from p0."""
    kl: Estimate
    """Mean KL(pi, pi0) in nats of whole episodes."""
    most_kl: Estimate
    """What that never exceeds, whatever the base."""
    effective: FloatArray | None
    """(N,) effective draws of a resample."""
    cost: Cost
    """Of all draws."""
    faults: int
    warnings: tuple[str, ...]


def tilt(
    policy: Policy,
    family: Family,
    tasks: Sequence[Task],
    world: World,
    seeds: Sequence[int],
    rule: Rule,
    *,
    budget: Budget | None = None,
    imaginer: Callable[[], Imaginer] | None = None,
    p0: FloatArray | None = None,
    alpha: float = 0.025,
) -> Tilted:
    """One episode of the tilted policy per (task, seed), in order. Equal seeds, equal episodes.

    *p0* (N,): the base's exact success in this world, where it is known; the KL is then exact. *alpha* is one-sided.
    *imaginer*: makes the writer of observations in the imagined world.
    """
    if not tasks:
        raise BadValue("tasks of a tilt", list(tasks), "at least one")

    def draw(asked: Sequence[_Pool]) -> list[Episode]:
        drawn: list[Episode] = []
        for start in range(0, len(asked), SIDE_BY_SIDE):
            part = asked[start : start + SIDE_BY_SIDE]
            writer = imaginer() if imaginer else None
            own = [derive(pool.seed, "draw", pool.next_draw()) for pool in part]
            at = [pool.task for pool in part if pool.task]
            drawn += rollout(policy, family, at, world, own, budget=budget, imaginer=writer)
        return drawn

    return _tilted(draw, [_Pool(seed, task) for task, seed in zip(tasks, seeds, strict=True)], rule, p0, alpha)


def reweigh(
    groups: Sequence[Sequence[Episode]],
    rule: Rule,
    *,
    seed: int = 0,
    p0: FloatArray | None = None,
    alpha: float = 0.025,
) -> Tilted:
    """The same from episodes of the base that are there already: one group per task, of as many as *rule* may draw."""
    sizes = sorted({len(group) for group in groups})
    if sizes != [rule.draws]:
        raise BadValue("episodes to tilt", f"groups of {sizes}", f"groups of {rule.draws} episodes each")

    def draw(asked: Sequence[_Pool]) -> list[Episode]:
        return [pool.recorded[pool.next_draw() - 1] for pool in asked]

    pools = [_Pool(derive(seed, "group", i), recorded=group) for i, group in enumerate(groups)]
    return _tilted(draw, pools, rule, p0, alpha)


def _tilted(draw: Draw, pools: Sequence[_Pool], rule: Rule, p0: FloatArray | None, alpha: float) -> Tilted:
    if p0 is not None and (np.shape(p0) != (len(pools),) or not bool(np.all((p0 >= 0) & (p0 <= 1)))):
        raise BadValue("p0 of a tilt", p0, f"{len(pools)} probabilities, one per task")
    if isinstance(rule, Gibbs) and rule.sampler == "rejection":
        _reject(draw, pools, rule)
    else:
        _choose(draw, pools, rule)
    return _read(pools, rule, p0, alpha)


@dataclass(eq=False)
class _Pool:
    """The draws for one episode, of a task or out of a group; of those that are not kept only the reward stays."""

    seed: int
    task: Task | None = None
    recorded: Sequence[Episode] = ()
    rewards: list[float] = field(default_factory=list)
    faults: int = 0
    kept: int | None = None
    episode: Episode | None = None
    cost: Cost = field(default_factory=Cost)
    asked: int = 0

    def next_draw(self) -> int:
        self.asked += 1
        return self.asked

    def take(self, episode: Episode) -> bool:
        """Pay for a draw; whether it is one that may be kept."""
        self.cost = add(self.cost, episode.cost)
        if episode.stop.is_fault:
            self.faults += 1
            return False
        self.rewards.append(episode.reward)
        return True

    def hold(self, episode: Episode) -> None:
        self.kept, self.episode = len(self.rewards) - 1, episode


Draw = Callable[[Sequence[_Pool]], list[Episode]]


def _reject(draw: Draw, pools: Sequence[_Pool], rule: Gibbs) -> None:
    """One draw at a time for every episode that has none accepted yet."""
    coins = {id(pool): generator(pool.seed, "accept") for pool in pools}
    waiting = list(pools)
    while waiting:
        for pool, episode in zip(waiting, draw(waiting), strict=True):
            coin = float(coins[id(pool)].random())
            if pool.take(episode) and accepts(episode.reward, rule.beta, coin):
                pool.hold(episode)
        waiting = [pool for pool in waiting if pool.kept is None and pool.asked < rule.draws]


def _choose(draw: Draw, pools: Sequence[_Pool], rule: Rule) -> None:
    """All draws of an episode, then one of them."""
    share = max(1, SIDE_BY_SIDE // rule.draws)
    for start in range(0, len(pools), share):
        part = pools[start : start + share]
        drawn = draw([pool for pool in part for _ in range(rule.draws)])
        for i, pool in enumerate(part):
            own = [e for e in drawn[i * rule.draws : (i + 1) * rule.draws] if pool.take(e)]
            if own:
                pool.kept = keep(pool.rewards, rule, generator(pool.seed, "keep"))
                pool.episode = own[pool.kept]


def _read(pools: Sequence[_Pool], rule: Rule, p0: FloatArray | None, alpha: float) -> Tilted:
    drawn = [Draws(tuple(p.rewards), p.faults, p.kept) for p in pools]
    resampled = isinstance(rule, Gibbs) and rule.sampler == "resampling"
    most = limits.most_nats(rule)
    effective = np.array([advice.effective(d, rule) for d in drawn]) if resampled else None
    return Tilted(
        name=rule.name,
        episodes=tuple(replace(p.episode, cost=p.cost) if p.episode else None for p in pools),
        draws=np.array([p.asked for p in pools]),
        success=limits.success(drawn, rule, alpha),
        exact=limits.exact_success(p0, rule) if p0 is not None else Estimate.missing("p0 was not given"),
        kl=limits.divergence(drawn, rule, alpha, p0),
        most_kl=Estimate(most, (most, most), "bound"),
        effective=effective,
        cost=add(*(p.cost for p in pools)),
        faults=sum(p.faults for p in pools),
        warnings=tuple(advice.warnings(drawn, rule, effective)),
    )


def add(*costs: Cost) -> Cost:
    """The sum."""
    return Cost(**{f.name: sum(getattr(c, f.name) for c in costs) for f in fields(Cost)})
