"""What a study is: family, policy, sizes, arms. A spec is JSON and travels in the result; equal specs, equal results.

Not covered: how it runs (workers, output folder): that never changes a number.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from reachlab import NO_INFORMATION_WORLDS, Arm, Family, Json, Split, Task, Thresholds, Treatment
from reachlab.errors import BadValue, CorruptRun, UnknownName
from reachlab.policies.config import LearnerConfig
from reachlab.policies.search import SearchConfig
from reachlab.registry import Spec
from reachlab.studies.designs import Design, find

ON_POLICY = (Treatment.RL, Treatment.RL_RANDOM)
"""Treatments that sample their own episodes at each update."""

TASK_BLOCK = 1_000_000
"""Study seed s owns the task seeds from s * TASK_BLOCK: no two studies share a test task."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The sizes of a study."""

    name: str
    test_tasks: int
    train_tasks: int
    episodes: int
    """Per task and arm."""
    steps: int
    """Updates of rl."""
    groups: int
    """Tasks per rl update."""
    group_size: int
    """Episodes per task and rl update."""
    sft_steps: int
    """Updates of sft: many passes over one gold transcript per task."""
    fit_steps: int
    """Updates of rft and distil: about one pass over the verified samples; more overfits the training names."""
    fit_batch: int
    """Transcripts per update of sft, rft and distil."""
    base_repeats: int = 1
    """How often the base's episodes in the no-information worlds are drawn where the family has no policy-free bound
    on p0: that the base cannot reach a task there then rests on how often it was not seen to."""
    scored: int | None = None
    """Of each task's episodes so many are scored against the base (nats, bits), which takes longer than sampling them;
    None: all."""
    chunk_tasks: int = 32
    """Tasks of one unit of work."""
    checkpoint_every: int = 10


PROFILES = {
    "smoke": Profile("smoke", 40, 20, 16, 8, 8, 8, 20, 10, 32, chunk_tasks=20, checkpoint_every=2),
    "default": Profile("default", 320, 80, 16, 100, 8, 16, 200, 60, 64, base_repeats=8),
    "full": Profile("full", 400, 200, 32, 240, 16, 16, 500, 160, 64, base_repeats=8),
}

RL = LearnerConfig(learning_rate=5e-4, beta=0.05)
FIT = LearnerConfig(learning_rate=5e-4, beta=0.0)


@dataclass(frozen=True, slots=True)
class StudySpec:
    """One study. ``seeds`` counts independent training runs; ``seed`` fixes everything else."""

    family: Spec
    policy: str = "tiny"
    profile: Profile = PROFILES["default"]
    seed: int = 0
    seeds: int = 1
    thresholds: Thresholds = field(default_factory=Thresholds)
    rl: LearnerConfig = RL
    fit: LearnerConfig = FIT
    design: str = "default"
    """Which arms there are (``studies.designs``)."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """How arms that search do it."""
    trained_on: Spec | None = None
    """The family that the training split is of, where it is another one than is evaluated (transfer, C4)."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1_000_000:
            raise BadValue("seed", self.seed, "0 to 999999")
        if self.seeds < 1:
            raise BadValue("seeds", self.seeds, ">= 1")
        if self.profile.episodes < self.thresholds.min_episodes:
            raise BadValue("episodes per task", self.profile.episodes, f">= {self.thresholds.min_episodes}")
        if self.profile.scored is not None and not 1 <= self.profile.scored <= self.profile.episodes:
            raise BadValue("scored episodes per task", self.profile.scored, f"1 to {self.profile.episodes}")
        find(self.design)

    @property
    def designed(self) -> Design:
        return find(self.design)

    def tasks(self, family: Family, split: Split) -> list[Task]:
        return self._drawn(family, split, self.count(split))

    def count(self, split: Split) -> int:
        """Tasks of a split."""
        return self.profile.test_tasks if split == "test" else self.profile.train_tasks

    def pool(self, family: Family) -> list[Task]:
        """The tasks that are trained on: the training split, and more of the same where the design asks for more."""
        return self._drawn(family, "train", self.profile.train_tasks * self.designed.more_tasks)

    def _drawn(self, family: Family, split: Split, count: int) -> list[Task]:
        first = self.seed * TASK_BLOCK
        return [family.task(split, first + i) for i in range(count)]

    def chunks(self, split: Split) -> int:
        """Units of work of one arm on a split."""
        return -(-self.count(split) // self.profile.chunk_tasks)

    def updates(self, treatment: Treatment) -> int:
        """How many updates one training of *treatment* takes."""
        if treatment in ON_POLICY:
            return self.profile.steps
        if treatment is Treatment.SFT:
            return self.profile.sft_steps
        return self.profile.fit_steps * self.designed.more_fitting

    def to_json(self) -> Json:
        out = {**asdict(self), "family": self.family.to_json()}
        if self.trained_on is None:
            del out["trained_on"]
            return out
        return {**out, "trained_on": self.trained_on.to_json()}

    @classmethod
    def from_json(cls, data: Json) -> StudySpec:
        try:
            records: dict[str, Any] = {
                "family": Spec.from_json(data["family"]),
                "profile": Profile(**data["profile"]),
                "thresholds": Thresholds(**data["thresholds"]),
                "rl": LearnerConfig(**data["rl"]),
                "fit": LearnerConfig(**data["fit"]),
                "search": SearchConfig(**data.get("search", {})),
            }
            if data.get("trained_on") is not None:
                records["trained_on"] = Spec.from_json(data["trained_on"])
            return cls(**{**data, **records})
        except (KeyError, TypeError) as error:
            raise CorruptRun(f"not the spec of a study: {error}") from error


def profile(name: str) -> Profile:
    if name not in PROFILES:
        raise UnknownName("profile", name, PROFILES)
    return PROFILES[name]


NEEDS_A_BOUND = frozenset(Arm(Treatment.BASE, None, world) for world in NO_INFORMATION_WORLDS)
"""Arms whose success is sampled to be found low: the rarer it is, the more episodes that takes."""
