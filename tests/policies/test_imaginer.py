"""An imaginer that remembers what it has read writes the same as one that reads everything anew."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from reachlab import Family, StopReason, World
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.imaginer import SessionImaginer
from reachlab.registry import Spec
from reachlab.studies.rollout import rollout


@dataclass
class Forgetful:
    """Asks a new imaginer each time."""

    policy: HuggingFacePolicy

    def imagine(self, *asked: object) -> list[str]:
        return self.policy.imaginer().imagine(*asked)  # type: ignore[arg-type]


@dataclass
class Watched:
    """Counts the tokens that its imaginer had to read."""

    inner: SessionImaginer
    asked: int = 0
    opened: list[int] = field(default_factory=list)

    def imagine(self, *asked: object) -> list[str]:
        texts = self.inner.imagine(*asked)  # type: ignore[arg-type]
        self.asked += len(texts)
        self.opened.append(self.inner.session._next)  # type: ignore[attr-defined]
        return texts


@pytest.mark.parametrize(("name", "dials"), [("maze", {"junctions": [3], "calls": 8}), ("lock", {"dials": [2]})])
def test_what_was_read_before_changes_nothing(name: str, dials: dict[str, object], base: HuggingFacePolicy) -> None:
    family: Family = Spec(name, dials).build("families")
    tasks = [family.task("test", i // 4) for i in range(24)]  # several episodes of a task begin alike
    watched = Watched(base.imaginer())
    kept = rollout(base, family, tasks, World.IMAGINED, list(range(24)), imaginer=watched)
    fresh = rollout(base, family, tasks, World.IMAGINED, list(range(24)), imaginer=Forgetful(base))
    assert [e.messages for e in kept] == [e.messages for e in fresh]
    assert [e.reward for e in kept] == [e.reward for e in fresh]
    assert len(watched.opened) > 2 and watched.asked > 2 * 24
    assert watched.opened[-1] <= 24  # one handle an episode: every later step went on from the one before


def test_an_imaginer_that_fails_is_a_fault_and_not_an_empty_observation(base: HuggingFacePolicy) -> None:
    import copy

    import torch

    broken = copy.deepcopy(base.model)
    with torch.no_grad():
        broken.lm_head.weight.fill_(float("nan"))
    family: Family = Spec("lexicon", {"digits": [4]}).build("families")
    tasks = [family.task("test", i) for i in range(12)]
    imaginer = base.with_model(broken, "broken").imaginer()
    episodes = rollout(base, family, tasks, World.IMAGINED, list(range(12)), imaginer=imaginer)
    faults = [e for e in episodes if e.stop is StopReason.FAULT]
    assert len(faults) > 6 and all("imagining failed: the model's logits were not numbers" in e.detail for e in faults)
    assert all(not e.calls for e in episodes if e not in faults)
