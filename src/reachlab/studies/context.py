"""What every job of a study needs, rebuilt in each process from the run directory's spec and cached there.

Only what samples or learns loads torch: reading a finished run does not.

Not covered: how a policy is trained (``studies.training``).
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from reachlab import Arm, Family, Imaginer, Policy, Split, Task, Treatment, World
from reachlab.errors import BadValue
from reachlab.registry import Spec
from reachlab.studies.abilities import Abilities
from reachlab.studies.designs import PRIMARY
from reachlab.studies.spec import NEEDS_A_BOUND, StudySpec
from reachlab.studies.store import RunStore, read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from reachlab.policies.config import AdapterConfig
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
    def base(self) -> Policy:
        policy: Policy = Spec(self.spec.policy).build("policies")
        if not callable(getattr(policy, "session", None)):
            raise BadValue("policy", self.spec.policy, "a reachlab.Policy; this one has no session()")
        return policy

    @property
    def model(self) -> HuggingFacePolicy:
        """The base as weights with a tokenizer, which training and enumeration need."""
        from reachlab.policies.huggingface import HuggingFacePolicy

        if not isinstance(self.base, HuggingFacePolicy):
            raise BadValue("policy", self.spec.policy, "a causal language model with weights: they are trained")
        return self.base

    @cached_property
    def abilities(self) -> Abilities:
        """What the base can do, from the study's first job: reading a run loads no policy."""
        return Abilities(**read_json(self.store.base)["abilities"])

    def imaginer(self) -> Imaginer | None:
        """A new one of the base, or None if it writes no observations."""
        make = getattr(self.base, "imaginer", None)
        return make() if callable(make) else None

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

    @property
    def primary(self) -> Arm:
        """The arm that the verdict is about: rl live, or the base live where there are no weights to train."""
        return replace(PRIMARY, treatment=Treatment.BASE, trained=None) if self.abilities.train else PRIMARY

    def runs(self, arm: Arm) -> range:
        """The independent runs of *arm*: trainings, or repeats of the base's episodes."""
        if arm.training is not None:
            return range(self.spec.seeds)
        return range(self.spec.profile.base_repeats if arm in NEEDS_A_BOUND and not self.bounded else 1)

    def policy(self, arm: Arm, seed: int) -> Policy:
        """The policy that *arm* evaluates."""
        if arm.training is None:
            return self.base
        return self.trained(*arm.training, seed)

    def trained(self, treatment: Treatment, world: World, seed: int) -> HuggingFacePolicy:
        folder = self.store.policy(treatment, world, seed)
        changed = (folder / "status.json").stat().st_mtime_ns
        return self.model.with_model(_weights(self.model, folder, changed), f"{treatment}·{world}")

    def student(self, adapter: AdapterConfig | None = None, seed: int = 0) -> HuggingFacePolicy:
        """The base to be trained: with weights of its own, or the base's and an adapter that *seed* fixes."""
        base = self.model.model
        if adapter is not None:
            from reachlab.policies.adapters import adapt

            return self.model.with_model(adapt(base, adapter, seed), "student")
        return self.model.with_model(copy.deepcopy(base).float(), "student")


@lru_cache(maxsize=2)
def _weights(base: HuggingFacePolicy, path: Path, changed: int) -> PreTrainedModel:
    """What was published in *path*: an adapter goes on the base's weights, which are not copied."""
    from reachlab.policies.adapters import attach, is_adapter
    from reachlab.policies.huggingface import load

    return attach(base.model, path) if is_adapter(path) else load(str(path)).model


def open_run(root: Path) -> Context:
    """The context of the run in *root*, kept while its spec stays the same. Raises CorruptRun for a broken spec."""
    return _context(root, json.dumps(read_json(root / "spec.json"), sort_keys=True))


@lru_cache(maxsize=1)
def _context(root: Path, spec: str) -> Context:
    return Context(StudySpec.from_json(json.loads(spec)), RunStore(root))
