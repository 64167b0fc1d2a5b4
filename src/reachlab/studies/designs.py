"""Which arms a study has. Every design holds the default one's, which the verdict reads; the others add rivals.

Not covered: sizes (``studies.spec``); how an arm is trained or sampled (``studies.sources``, ``studies.evaluation``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from reachlab import Arm, Treatment, World
from reachlab.errors import UnknownName

PRIMARY = Arm(Treatment.RL, World.LIVE, World.LIVE)
"""The primary arm, named before any run."""


@dataclass(frozen=True, slots=True)
class Design:
    """A named set of arms."""

    name: str
    arms: tuple[Arm, ...]
    matched: bool = False
    """Whether closed training gets what ``distil`` gets (tasks, verifier calls, tokens, KL target), as C3 asks for."""

    @property
    def trainings(self) -> list[tuple[Treatment, World]]:
        """Every policy that is trained, once."""
        return list(dict.fromkeys(arm.training for arm in self.arms if arm.training is not None))


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


DEFAULT = Design("default", _default())
DESIGNS = {design.name: design for design in (DEFAULT,)}


def find(name: str) -> Design:
    if name not in DESIGNS:
        raise UnknownName("design", name, DESIGNS)
    return DESIGNS[name]
