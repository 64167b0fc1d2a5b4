"""Tabular worlds of known truth: what creation looks like, everything that may be taken for it, and the boundaries.

A world is a population of ``TYPES`` equally likely task types. Labels are not written here: ``truth`` computes them.
Boundary worlds are solved for, so that the quantity they are about is exactly at its threshold.
Not covered: how studies are drawn from a world (``draw``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from reachlab import Arm, FloatArray, Thresholds, Treatment, World
from reachlab.errors import UnknownName
from reachlab.measure import equivalent_k, required_nats, tilt
from reachlab.studies.calibration.process import CLOSED_TOKENS, Channel, Law, TabularPolicy, law

TYPES = 1000
LEVELS = 20
TABLE = Thresholds()
"""The boundary worlds are at these thresholds."""
BASE, RL, RFT, DISTIL = Treatment.BASE, Treatment.RL, Treatment.RFT, Treatment.DISTIL
PRIMARY = Arm(RL, World.LIVE, World.LIVE)
BARE = (World.CLOSED, World.SILENT, World.IMAGINED, World.SHUFFLED)
ARMS = (
    *(Arm(BASE, None, w) for w in (*BARE, World.LIVE)),
    PRIMARY,
    *(Arm(RL, World.LIVE, w) for w in BARE),
    Arm(RL, World.CLOSED, World.CLOSED),
    Arm(RFT, World.CLOSED, World.CLOSED),
    Arm(DISTIL, World.LIVE, World.CLOSED),
)
"""The arms of the default study that a verdict looks at."""
NATURAL_SAMPLES = 8
"""Where no bound helps, the base is sampled this many times as often in the worlds without information: the support
axis needs about 13,000 episodes in each to tell 'never' from 'once in a thousand'."""


@dataclass(frozen=True, slots=True, eq=False)
class TabularWorld:
    """A population of task types, four policies and a channel; arrays are (M,)."""

    name: str
    meaning: str
    base: TabularPolicy
    live: TabularPolicy
    """rl trained live."""
    closed: TabularPolicy
    """rl and rft trained closed."""
    distil: TabularPolicy
    channel: Channel
    dial: FloatArray
    """Closed success that the family's dial stands for: names the strata, and which of them are hard."""
    enumerated: FloatArray | None = None
    """What the study is given as exact p0."""
    bound: FloatArray | None = None
    """Policy-free bound on closed success."""
    optimum: FloatArray | None = None
    escape: float = 0.0
    """Chance that a failed episode of the primary arm becomes a fault and escapes scoring."""
    call_tokens: float = 40.0

    def policy(self, arm: Arm) -> TabularPolicy:
        """The policy behind *arm*."""
        if arm.treatment == BASE:
            return self.base
        if arm.treatment == DISTIL:
            return self.distil
        return self.live if arm.trained == World.LIVE else self.closed

    def law(self, arm: Arm, off: float = 0.0) -> Law:
        """The exact law of an episode of *arm*; *off* moves its rate of calling, as between training runs."""
        policy = self.policy(arm)
        if off:
            policy = replace(policy, call=np.clip(policy.call + off, 0.0, 1.0))
        return law(policy, self.base, self.channel, arm.evaluated)

    def tokens(self, arm: Arm) -> FloatArray:
        """(M,) expected inference tokens."""
        return CLOSED_TOKENS + self.call_tokens * self.law(arm).calls

    @property
    def oversampling(self) -> int:
        """How many times as often the base is sampled in the worlds without information."""
        return 1 if self.bound is not None else NATURAL_SAMPLES


def every(values: tuple[float, ...]) -> FloatArray:
    """(TYPES,) equal shares of each value."""
    return np.repeat(np.array(values, dtype=float), TYPES // len(values))


def log_uniform(low: float, high: float, size: int = TYPES) -> FloatArray:
    """``LEVELS`` quantiles of a log-uniform distribution: the same population for every study."""
    levels = np.exp(np.linspace(math.log(low), math.log(high), 2 * LEVELS + 1)[1::2])
    return np.repeat(levels, size // LEVELS)


LEXICON = every((1e-1, 1e-2, 1e-4, 1e-5, 1e-6))
"""Codes of 1, 2, 4, 5 and 6 digits, as in the default study."""


def head(p0: FloatArray, call: float = 0.5, copy: float = 0.8, style: float = 0.0) -> TabularPolicy:
    """A policy that is right with p0 from its own head, tool offered or not."""
    full = np.ones_like(p0)
    return TabularPolicy(call * full, copy * full, p0, p0, style * full)


def facts(name: str, meaning: str, p0: FloatArray = LEXICON, hit: float = 1.0, **changes: object) -> TabularWorld:
    """Fresh random facts behind a tool: the base uses it badly, training live teaches it, training closed cannot."""
    full = np.ones_like(p0)
    world = TabularWorld(
        name, meaning, base=head(p0), live=head(p0, 0.97, 0.98, 0.02), closed=head(p0, style=0.02),
        distil=head(p0, style=0.02), channel=Channel(-np.log2(p0), hit * full, 0 * full), dial=p0, enumerated=p0,
        bound=p0, optimum=np.maximum(hit * full, p0),
    )  # fmt: skip
    return replace(world, **changes)  # type: ignore[arg-type]


def tilted(name: str, meaning: str, p0: FloatArray, lam: float, waste: float = 0.0) -> TabularWorld:
    """No affordance at all: every trained policy is the base's tilt, at the nats of the frontier plus *waste*."""
    up, full = tilt(p0, lam), np.ones_like(p0)
    trained = TabularPolicy(0.5 * full, 0 * full, up, up, waste * full)
    channel = Channel(-np.log2(p0), 0 * full, 0 * full)
    return TabularWorld(
        name, meaning, base=replace(head(p0), copy=0 * full), live=trained, closed=trained, distil=trained,
        channel=channel, dial=p0, enumerated=p0,
    )  # fmt: skip


def _known(world: TabularWorld, **changes: object) -> TabularWorld:
    """A variant in which the base may know the facts: no policy-free bound holds."""
    return replace(world, bound=None, optimum=None, **changes)  # type: ignore[arg-type]


def _hard(world: TabularWorld) -> np.ndarray:
    return world.base.closed < TABLE.t


def _line(world: TabularWorld) -> tuple[FloatArray, FloatArray]:
    """(M,) a and b of the trained policy's success a + b f in the chance f that a call returns the fact, for hit 1."""
    never = world.law(Arm(RL, World.LIVE, World.SHUFFLED)).success
    return never, world.law(PRIMARY).success - never


def _untrained() -> TabularWorld:
    world = facts("hash-untrained", "the base uses the tool perfectly well: training adds nothing")
    return replace(world, base=head(LEXICON, 0.97, 0.98), live=head(LEXICON, 0.97, 0.98, 0.02))


def _rule() -> TabularWorld:
    world = _known(facts("rule", "a hidden rule that training live teaches, so that it works closed"))
    learned = np.where(_hard(world), 0.98, LEXICON)
    return replace(world, distil=replace(world.distil, closed=learned))


def _recite() -> TabularWorld:
    world = _known(facts("recite", "the base recites the fact when asked to write the observation (imagined .9)"))
    return replace(world, channel=replace(world.channel, bits=np.full(TYPES, -math.log2(0.9))))


def _format() -> TabularWorld:
    world = _known(facts("format", "the tool's prompt alone helps, its results are useless", hit=0.0))
    full = np.ones(TYPES)
    base = TabularPolicy(0.1 * full, 0.1 * full, LEXICON, 0.5 * full, 0 * full)
    live = TabularPolicy(0.02 * full, 0.02 * full, LEXICON, 0.6 * full, 0.02 * full)
    return replace(world, base=base, live=live)


def _lending() -> TabularWorld:
    world = facts("lending", "the tool answers easy tasks only: they lend surplus to the rare ones")
    hit = np.where(_hard(world), 0.0, 1.0)
    return replace(world, channel=replace(world.channel, hit=hit), optimum=np.maximum(hit, LEXICON))


def _enumeration() -> TabularWorld:
    p0 = every((0.1, 0.1, 2e-3, 2e-3, 2e-3))
    world = _known(facts("enumeration", "enumeration finds a tenth of the accepted answers of rare tasks", p0))
    return replace(world, enumerated=np.where(p0 < 0.01, p0 / 10, p0), dial=np.where(p0 < 0.01, p0 / 10, p0))


def _threshold() -> TabularWorld:
    p0 = np.full(TYPES, TABLE.t)
    world = _known(facts("threshold", "p0 exactly at the accessibility threshold, in a stratum named hard", p0))
    return replace(world, enumerated=None, dial=p0 / 2)


def _at_the_leak_gate() -> TabularWorld:
    world = _known(facts("leak-boundary", "shuffled shows exactly a tenth of the live gain"))
    least, slope = _line(world)
    fraction = TABLE.leak_fraction
    leak = fraction - (1 - fraction) * (least - world.base.closed) / slope
    return replace(world, channel=replace(world.channel, leak=leak))


def _priced() -> TabularWorld:
    p0 = every((0.1, 0.1, 1e-4, 1e-4, 1e-4))  # hard tasks alike: at the boundary against every world's base
    world = facts("priced", "a working tool whose use costs exactly the nats it saves", p0)
    hard, found = _hard(world), world.law(PRIMARY)
    price = required_nats(p0[hard], float(found.success[hard].mean())) - float(found.nats[hard].mean())
    return replace(world, live=replace(world.live, style=world.live.style + price))


def _costly() -> TabularWorld:
    world = facts("costly", "a working tool at exactly the price of as many closed samples")
    hard, found = _hard(world), world.law(PRIMARY)
    k = equivalent_k(LEXICON[hard], float(found.success[hard].mean()))
    return replace(world, call_tokens=(k - 1) * CLOSED_TOKENS / float(found.calls[hard].mean()))


def _dear_failures() -> TabularWorld:
    """Three types in twenty always call and always fail: the price k falls as success rises, at exactly k samples."""
    p0 = every((1e-4,))
    world = facts("dear-failures", "failures cost most, and all of it exactly as much as closed samples would", p0)
    fails = np.arange(TYPES) < 0.15 * TYPES
    policy = replace(world.base, call=np.where(fails, 1.0, 0.3), copy=np.ones(TYPES))
    hit = np.where(fails, 0.0, 1.0)
    world = replace(world, base=policy, live=policy, closed=policy, distil=policy, enumerated=None,
                    channel=replace(world.channel, hit=hit), optimum=np.maximum(hit, p0))  # fmt: skip
    found = world.law(PRIMARY)
    k = equivalent_k(p0, float(found.success.mean()))
    return replace(world, call_tokens=(k - 1) * CLOSED_TOKENS / float(found.calls.mean()))


def _coin_flip() -> TabularWorld:
    world = facts("support-boundary", "success exactly at the reach threshold on hard tasks: none crosses it")
    world = replace(world, base=head(LEXICON, 0.97, 0.98))  # nothing to pay: the other two axes are above 0
    least, slope = _line(world)
    hit = np.where(_hard(world), (TABLE.tau * (1 - 1e-9) - least) / slope, 1.0)
    return replace(world, channel=replace(world.channel, hit=hit), optimum=np.maximum(hit, LEXICON))


def _likelier() -> TabularWorld:
    p0 = np.full(TYPES, 0.3)
    world = _known(facts("likelier", "the tool makes an accessible behaviour likelier, .3 to .4", p0, hit=1.0))
    return replace(world, live=head(p0, 0.148, 0.98, 0.02), base=head(p0, 0.05, 0.8))


def _collapse() -> TabularWorld:
    p0 = np.concatenate([np.full(600, 0.3), np.full(400, 1e-5)])
    world = _known(facts("collapse", "training gains on some accessible tasks what it loses on others", p0, hit=0.0))
    own = np.concatenate([np.full(300, 0.6), np.zeros(300), np.full(400, 1e-5)])
    full = np.ones(TYPES)
    return replace(world, live=TabularPolicy(0.5 * full, 0.0 * full, own, own, 0.02 * full))


def _heavy() -> TabularWorld:
    p0 = every(tuple(((np.arange(LEVELS) + 0.5) / LEVELS) ** 6))
    world = _known(facts("heavy-tail", "nothing changes; difficulty so spread that resampling seems to expand", p0))
    base = replace(head(p0), copy=np.zeros(TYPES))
    return replace(world, base=base, live=base, closed=base, distil=base)


def _nothing() -> TabularWorld:
    world = facts("nothing", "a tool that never helps and training that changes nothing", hit=0.0)
    base = replace(world.base, copy=np.zeros(TYPES))
    trained = replace(base, style=world.live.style)
    return replace(world, base=base, live=trained, closed=trained, distil=trained)


def _leak() -> TabularWorld:
    world = facts("leak", "the donor's result names this task's fact three times in ten")
    return replace(world, channel=replace(world.channel, leak=np.full(TYPES, 0.3)))


def _wasteful() -> TabularWorld:
    world = facts("wasteful", "a working tool, used by a policy that spends 14 nats on what changes nothing")
    return replace(world, live=replace(world.live, style=np.full(TYPES, 14.0)))


BUILDERS: tuple[Callable[[], TabularWorld], ...] = (
    lambda: facts("hash", "fresh random facts of 3 to 20 bits behind a tool"),
    _untrained,
    lambda: facts("noisy", "a noisy tool: the fact comes through six times in ten, no policy does better", hit=0.6),
    lambda: facts("rare-tool", "p0 1e-8 and a tool that helps three times in ten", np.full(TYPES, 1e-8), hit=0.3),
    _rule,
    _nothing,
    lambda: tilted("bandit", "pure reward, no tool: a tilt of 4", log_uniform(1e-6, 0.5), 4.0),
    lambda: tilted("bandit-strong", "pure reward, no tool: a tilt of 12", log_uniform(1e-6, 0.5), 12.0),
    lambda: tilted("rare", "rare but present (p0 1e-6 to 1e-2), found by training at a third more than it costs",
                   log_uniform(1e-6, 1e-2), 9.0, 1.5),
    lambda: tilted("frontier", "exactly on the frontier, hard tasks alike", every((0.1, 0.1, 1e-4, 1e-4, 1e-4)), 12.0),
    lambda: tilted("frontier-mixed", "exactly on the frontier, hard tasks unlike",
                   np.concatenate([np.full(300, 0.1), log_uniform(1e-6, 6e-4, 700)]), 12.0),
    lambda: facts("hash-8", "facts of 8 bits: rare, but within k_acc attempts, and imagined ones do hit",
                  np.full(TYPES, 1 / 256)),
    _recite,
    _format,
    _lending,
    _enumeration,
    lambda: facts("faults", "a tool that helps once in twenty, and failures that escape scoring as faults",
                  hit=0.05, escape=0.95, optimum=None),
    _leak,
    _at_the_leak_gate,
    _threshold,
    _priced,
    _costly,
    _dear_failures,
    _coin_flip,
    _wasteful,
    _likelier,
    _collapse,
    _heavy,
)  # fmt: skip


@lru_cache(maxsize=1)
def worlds() -> tuple[TabularWorld, ...]:
    """Every world, in the order of the table."""
    return tuple(build() for build in BUILDERS)


def find(name: str) -> TabularWorld:
    """The world called *name*; raises ``UnknownName``."""
    for world in worlds():
        if world.name == name:
            return world
    raise UnknownName("world", name, (w.name for w in worlds()))
