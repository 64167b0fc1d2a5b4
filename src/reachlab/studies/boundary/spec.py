"""What a map is made of: a family, the dial that is swept, the sizes of its studies.

Not covered: how it is run (``run``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from reachlab import Json
from reachlab.errors import BadValue
from reachlab.registry import Spec
from reachlab.studies.designs import CORE
from reachlab.studies.spec import Profile, StudySpec

SCHEMA = "reachlab.boundary/1"
TRAIN_TASKS = 16
"""Training tasks of each study. Closed training has nothing to learn but these tasks' answers, one by one: of 80
tasks, each seen ten times in the default study, it keeps few; of 16 it keeps most, and climbs the frontier."""


class Sweep(NamedTuple):
    """A dial and its values, easiest first, and what stays the same."""

    dial: str
    values: tuple[Any, ...]
    fixed: Mapping[str, Any] = {}


SWEEPS = {
    "lexicon": Sweep("digits", (1, 2, 3, 4, 5, 6), {"hops": [1]}),  # p0 .1 to 1e-6, the most digits there are
    "composition": Sweep("digits", (1, 2, 3, 4, 5, 6)),  # .1 to 1e-6
    "hash": Sweep("bits", (3, 7, 10, 13, 17, 20, 23, 27)),  # .1 to 1e-8
    "lock": Sweep("dials", (1, 2, 3, 4, 5, 6, 7, 8), {"positions": [5]}),  # .2 to 3e-6, the most dials there are
    "maze": Sweep("junctions", (1, 2, 3, 4, 5, 6, 7, 8), {"ways": [3]}),  # .3 to 2e-4, the most junctions there are
    "program": Sweep("lengths", (2, 4, 6)),  # .01 to 1e-6 for a base that guesses; all lengths there are
    "arithmetic": Sweep("digits", (1, 2, 3, 4, 5, 6)),  # as well as the base multiplies
    "rule": Sweep("digits", (2, 3, 4, 5, 6)),  # .01 to 1e-6 for a base that guesses
    "countdown": Sweep("numbers", (2, 3, 4, 5)),  # as well as the base finds expressions
}
"""What is swept where nothing else is asked for: p0 from .1 down, as far as the family's dial goes."""


@dataclass(frozen=True, slots=True)
class BoundarySpec:
    """One map: a study of the design ``core`` for each value of the dial."""

    family: str
    dial: str
    values: tuple[Any, ...]
    """Easiest first."""
    profile: Profile
    policy: str = "tiny"
    seed: int = 0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """The family's other dials."""

    def __post_init__(self) -> None:
        if not self.values or len({str(v) for v in self.values}) < len(self.values):
            raise BadValue(f"values of {self.dial}", list(self.values), "at least one, all different")
        if self.dial in self.fixed:
            raise BadValue("--fixed", dict(self.fixed), f"dials other than {self.dial}, which is swept")

    def studies(self) -> dict[str, StudySpec]:
        """By folder, in the order of the values."""
        sizes = replace(self.profile, train_tasks=min(TRAIN_TASKS, self.profile.train_tasks))
        return {
            f"{self.dial}-{value}": StudySpec(
                Spec(self.family, {**self.fixed, self.dial: value}), self.policy, sizes, self.seed, design=CORE.name
            )
            for value in self.values
        }

    def to_json(self) -> Json:
        return {
            "schema": SCHEMA,
            "family": self.family,
            "dial": self.dial,
            "values": list(self.values),
            "studies": {name: study.to_json() for name, study in self.studies().items()},
        }


def boundary_spec(
    family: str,
    profile: Profile,
    dial: str = "",
    values: Sequence[Any] = (),
    fixed: Mapping[str, Any] | None = None,
    policy: str = "tiny",
    seed: int = 0,
) -> BoundarySpec:
    """The family's usual sweep, or the one that is given. Builds every family, so that a bad dial is said at once."""
    usual = SWEEPS.get(family)
    if not dial and usual is None:
        Spec(family, fixed or {}).build("families")  # a name that nothing has is said as such
        raise BadValue("--dial", "", f"NAME=VALUES: {family} has no usual sweep; {', '.join(SWEEPS)} have")
    if usual is not None and dial in ("", usual.dial):
        dial, values = usual.dial, tuple(values) or usual.values
        fixed = {**usual.fixed, **(fixed or {})}
    spec = BoundarySpec(family, dial, tuple(values), profile, policy, seed, dict(fixed or {}))
    for study in spec.studies().values():
        study.family.build("families")
    return spec
