"""A study of seconds, every station real."""

from __future__ import annotations

from typing import Any

import pytest

from reachlab import Json
from reachlab.policies.huggingface import HuggingFacePolicy, tiny
from reachlab.registry import Spec
from reachlab.studies import Profile, StudySpec

MICRO = Profile("micro", 10, 10, 16, 2, 4, 8, 2, 2, 8, chunk_tasks=5, checkpoint_every=1)


def micro_spec(
    seed: int = 0, policy: str = "tiny", seeds: int = 1, family: str = "lexicon", design: str = "default", **dials: Any
) -> StudySpec:
    return StudySpec(Spec(family, dials), policy=policy, profile=MICRO, seed=seed, seeds=seeds, design=design)


def without_costs(result: Json) -> Json:
    """A result without what may differ between machines: wall time."""
    return {key: value for key, value in result.items() if key not in ("cost", "command")}


@pytest.fixture(scope="session")
def base() -> HuggingFacePolicy:
    import torch

    torch.set_num_threads(1)
    return tiny()
