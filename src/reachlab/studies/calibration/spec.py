"""What a calibration is: sizes and numbers of replicates. JSON, and equal specs give equal results.

Not covered: how it runs (workers, output folder): that never changes a number.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from reachlab import Json, Thresholds
from reachlab.errors import BadValue, CorruptRun, UnknownName
from reachlab.studies.calibration.draw import StudySize
from reachlab.studies.spec import PROFILES


@dataclass(frozen=True, slots=True)
class CalibrationProfile:
    """How many studies are drawn of each world, and how large they are."""

    name: str
    size: StudySize
    """Of the studies behind the confusion table and the coverage."""
    replicates: int
    """Studies of each world without creation in the confusion table."""
    creation: int
    """Studies of each world with creation."""
    coverage: int
    """Studies of each world whose printed intervals are checked."""
    power: int
    """Studies of each creation world at each size of ``grid``."""
    grid: tuple[StudySize, ...]
    """Sizes of the power curves: one of tasks, episodes and training runs is varied at a time."""
    chunk: int
    """Studies of one unit of work."""


Numbers = tuple[int, ...]


def _grid(size: StudySize, tasks: Numbers, episodes: Numbers, seeds: Numbers) -> tuple[StudySize, ...]:
    sizes = [StudySize(n, size.episodes, size.seeds) for n in tasks]
    sizes += [StudySize(size.tasks, n, size.seeds) for n in episodes]
    sizes += [StudySize(size.tasks, size.episodes, s) for s in seeds]
    return tuple(dict.fromkeys(sizes))


DEFAULT = StudySize(PROFILES["default"].test_tasks, PROFILES["default"].episodes)
"""The verdict is calibrated at the size that ``reachlab run`` has by default."""
CALIBRATIONS = {
    "smoke": CalibrationProfile("smoke", DEFAULT, 20, 10, 40, 5, _grid(DEFAULT, (80,), (), (3,)), 10),
    "default": CalibrationProfile(
        "default", DEFAULT, 1000, 400, 8000, 60, _grid(DEFAULT, (40, 80, 160, 240), (32,), (3, 5)), 100
    ),
    "full": CalibrationProfile(
        "full", DEFAULT, 10_000, 4000, 40_000, 400,
        _grid(DEFAULT, (40, 80, 120, 160, 240, 640), (32, 64), (3, 5, 10)), 100,
    ),
}  # fmt: skip


def calibration_profile(name: str) -> CalibrationProfile:
    """The profile called *name*; raises ``UnknownName``."""
    if name not in CALIBRATIONS:
        raise UnknownName("profile", name, CALIBRATIONS)
    return CALIBRATIONS[name]


@dataclass(frozen=True, slots=True)
class CalibrationSpec:
    """One calibration."""

    profile: CalibrationProfile
    seed: int = 0
    thresholds: Thresholds = field(default_factory=Thresholds)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise BadValue("seed", self.seed, ">= 0")

    def to_json(self) -> Json:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Json) -> CalibrationSpec:
        try:
            profile: dict[str, Any] = dict(data["profile"])
            profile["size"] = StudySize(**profile["size"])
            profile["grid"] = tuple(StudySize(**size) for size in profile["grid"])
            return cls(CalibrationProfile(**profile), data["seed"], Thresholds(**data["thresholds"]))
        except (KeyError, TypeError) as error:
            raise CorruptRun(f"not the spec of a calibration: {error}") from error
