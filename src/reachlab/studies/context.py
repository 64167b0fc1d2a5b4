"""What every job of a study needs, rebuilt in each process from the run directory's spec and cached there.

Only what samples or learns loads torch: reading a finished run does not.

Not covered: policies that are no Hugging Face models (they come with the policies issue).
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from reachlab import Arm, Family, Split, Task, Treatment, World
from reachlab.errors import BadValue
from reachlab.registry import Spec
from reachlab.studies.spec import NEEDS_A_BOUND, StudySpec
from reachlab.studies.store import RunStore, read_json

if TYPE_CHECKING:
    from reachlab.policies.huggingface import HuggingFacePolicy


@dataclass(eq=False)
class Context:
    """Spec, store, family, base and tasks of one run."""

    spec: StudySpec
    store: RunStore

    @cached_property
    def family(self) -> Family:
        family: Family = self.spec.family.build("families")
        return family

    @cached_property
    def taught(self) -> Family:
        """The family that is trained on: the evaluated one, or another in a study of transfer."""
        if self.spec.trained_on is None:
            return self.family
        taught: Family = self.spec.trained_on.build("families")
        if taught.name == self.family.name:
            raise BadValue("trained_on", taught.name, "another family than the one that is evaluated")
        return taught

    def family_of(self, split: Split) -> Family:
        """The family that makes the tasks of a split."""
        return self.taught if split == "train" else self.family

    @cached_property
    def base(self) -> HuggingFacePolicy:
        from reachlab.policies.huggingface import HuggingFacePolicy

        policy = Spec(self.spec.policy).build("policies")
        if not isinstance(policy, HuggingFacePolicy):
            allowed = "a Hugging Face causal language model: a study trains and scores it"
            raise BadValue("policy", self.spec.policy, allowed)
        return policy

    @cached_property
    def _tasks(self) -> dict[str, list[Task]]:
        return {}

    def tasks(self, split: Split) -> list[Task]:
        if split not in self._tasks:
            self._tasks[split] = self.spec.tasks(self.family_of(split), split)
        return self._tasks[split]

    @cached_property
    def pool(self) -> list[Task]:
        """The tasks that are trained on; the training split is the part of them that is evaluated."""
        return self.spec.pool(self.taught)

    def chunk(self, split: Split, chunk: int) -> list[Task]:
        size = self.spec.profile.chunk_tasks
        return self.tasks(split)[chunk * size : (chunk + 1) * size]

    @cached_property
    def bounded(self) -> bool:
        """Whether the family bounds the p0 of every test task, whatever the policy."""
        return all(self.family.p0_bound(task) is not None for task in self.tasks("test"))

    def runs(self, arm: Arm) -> range:
        """The independent runs of *arm*: trainings, or repeats of the base's episodes."""
        if arm.training is not None:
            return range(self.spec.seeds)
        return range(self.spec.profile.base_repeats if arm in NEEDS_A_BOUND and not self.bounded else 1)

    def policy(self, arm: Arm, seed: int) -> HuggingFacePolicy:
        """The policy that *arm* evaluates."""
        if arm.training is None:
            return self.base
        return self.trained(*arm.training, seed)

    def trained(self, treatment: Treatment, world: World, seed: int) -> HuggingFacePolicy:
        folder = self.store.policy(treatment, world, seed)
        changed = (folder / "status.json").stat().st_mtime_ns
        return self.base.with_model(_weights(folder, changed).model, f"{treatment}·{world}")

    def copy_of_base(self) -> HuggingFacePolicy:
        """The base with weights of its own, to be trained."""
        return self.base.with_model(copy.deepcopy(self.base.model), "student")


@lru_cache(maxsize=2)
def _weights(path: Path, changed: int) -> HuggingFacePolicy:
    from reachlab.policies.huggingface import load

    return load(str(path))


def open_run(root: Path) -> Context:
    """The context of the run in *root*, kept while its spec stays the same. Raises CorruptRun for a broken spec."""
    return _context(root, json.dumps(read_json(root / "spec.json"), sort_keys=True))


@lru_cache(maxsize=1)
def _context(root: Path, spec: str) -> Context:
    return Context(StudySpec.from_json(json.loads(spec)), RunStore(root))
