"""Which arms a study has. Every design holds those that the verdict rests on; ``core`` few more than these.

Not covered: sizes (``studies.spec``); how an arm is trained or sampled (``studies.sources``, ``studies.evaluation``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from reachlab import NO_INFORMATION_WORLDS, Arm, Treatment, World
from reachlab.errors import UnknownName

PRIMARY = Arm(Treatment.RL, World.LIVE, World.LIVE)
"""The primary arm, named before any run."""

Training = tuple[Treatment, World]
"""A treatment and the world it is trained in."""
FED: Training = (Treatment.DISTIL, World.LIVE)
"""What C3 is about: closed transcripts of answers found live."""
RIVALS: tuple[Training, ...] = ((Treatment.RFT, World.CLOSED), (Treatment.RL, World.CLOSED))
"""The closed trainings that C3 must beat."""


@dataclass(frozen=True, slots=True)
class Design:
    """A named set of arms."""

    name: str
    arms: tuple[Arm, ...]
    matched: bool = False
    """Whether closed training gets what ``distil`` gets (tasks, verifier calls, tokens, KL target), as C3 asks for:
    it then goes on until it has spent as much (``studies.matching``)."""
    more_tasks: int = 1
    """Tasks to train on, in times the profile's; those beyond the profile's are not evaluated."""
    more_fitting: int = 1
    """Updates of rft and distil, in times the profile's."""

    @property
    def trainings(self) -> list[Training]:
        """Every policy that is trained, once."""
        return list(dict.fromkeys(arm.training for arm in self.arms if arm.training is not None))

    def needs(self, treatment: Treatment, world: World) -> tuple[Training, ...]:
        """The trainings that must be done before this one."""
        if treatment is Treatment.DISTIL:
            return ((Treatment.RL, world),)
        return (FED,) if self.matched and (treatment, world) in RIVALS else ()


def _default() -> tuple[Arm, ...]:
    """The default study (DESIGN 2): the base in all six worlds, training closed and live, tool removed, controls."""
    base = [Arm(Treatment.BASE, None, world) for world in World]
    closed = [Arm(t, World.CLOSED, World.CLOSED) for t in (Treatment.SFT, Treatment.RFT, Treatment.RL)]
    live = [Arm(t, World.LIVE, World.LIVE) for t in (Treatment.RFT, Treatment.RL)]
    removed = (World.CLOSED, World.SILENT, World.IMAGINED, World.SHUFFLED)
    moved = [Arm(Treatment.RL, World.LIVE, world) for world in removed]
    distil = Arm(Treatment.DISTIL, World.LIVE, World.CLOSED)
    test = [*base, *closed, *live, *moved, distil]
    seen = [Arm(Treatment.BASE, None, World.CLOSED), Arm(Treatment.BASE, None, World.LIVE), *closed, live[-1], distil]
    return (*test, *(replace(arm, split="train") for arm in seen))


def _core() -> tuple[Arm, ...]:
    """What many studies beside each other need: the base, rl closed and rl live, and the live one without results."""
    base = [Arm(Treatment.BASE, None, world) for world in (*NO_INFORMATION_WORLDS, World.LIVE)]
    closed = Arm(Treatment.RL, World.CLOSED, World.CLOSED)
    moved = [Arm(Treatment.RL, World.LIVE, world) for world in NO_INFORMATION_WORLDS]
    seen = [replace(arm, split="train") for arm in (base[0], closed)]
    return (*base, closed, PRIMARY, *moved, *seen)


def _internalise() -> tuple[Arm, ...]:
    """What C3 compares: the closed policy that was fed live, and those that are trained closed."""
    fed = Arm(Treatment.DISTIL, World.LIVE, World.CLOSED)
    rival = Arm(Treatment.RFT, World.CLOSED, World.CLOSED)
    return (*_core(), rival, fed, replace(rival, split="train"), replace(fed, split="train"))


def _search() -> tuple[Arm, ...]:
    """What searching buys without training, with the tools and without them, and training on what it found."""
    found = [Arm(Treatment.SEARCH, None, world) for world in (World.CLOSED, World.LIVE)]
    return (*_default(), *found, Arm(Treatment.RFT_SEARCH, World.LIVE, World.LIVE))


DEFAULT = Design("default", _default())
CORE = Design("core", _core())
INTERNALISE = Design("internalise", _internalise(), matched=True, more_tasks=25, more_fitting=6)
"""Whether what was learned live stays when the tool is gone. A rule shows in its instances: of the default profile's
80 tasks distil memorises the answers (.04 on fresh numbers of Rule), of 2,000 it learns the rule (.9 and more)."""
SEARCH = Design("search", _search())
DESIGNS = {design.name: design for design in (DEFAULT, CORE, INTERNALISE, SEARCH)}


def find(name: str) -> Design:
    if name not in DESIGNS:
        raise UnknownName("design", name, DESIGNS)
    return DESIGNS[name]
