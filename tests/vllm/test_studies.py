"""The same studies through either engine: success rates agree, and so does the curve of rl."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reachlab import Family, Treatment, World
from reachlab.envs.arithmetic import Arithmetic
from reachlab.envs.lexicon import Lexicon
from reachlab.measure.intervals import clopper_pearson
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.studies import run
from reachlab.studies.rollout import rollout
from reachlab.studies.study import train_one
from tests.studies.conftest import MICRO, micro_spec

EPISODES = 300


@pytest.mark.parametrize("family", [Lexicon(digits=(4,)), Arithmetic()], ids=["lexicon", "arithmetic"])
def test_success_rates_agree(policy: HuggingFacePolicy, base: HuggingFacePolicy, family: Family) -> None:
    """Independent seeds: were they equal, the episodes would be too (``test_session``)."""
    tasks = [family.task("test", i % 100) for i in range(EPISODES)]
    wins = [
        sum(e.success for e in rollout(p, family, tasks, World.LIVE, range(first, first + EPISODES)))
        for p, first in ((policy, 0), (base, EPISODES))
    ]
    assert min(wins) > 20
    mine, theirs = (clopper_pearson(w, EPISODES, 0.05) for w in wins)
    assert mine.low <= theirs.high and theirs.low <= mine.high


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One study by transformers, and by vLLM on one worker and on two."""
    out = tmp_path_factory.mktemp("studies")
    for name, chosen, workers in (("plain", "tiny", 1), ("one", "vllm:tiny", 1), ("two", "vllm:tiny", 2)):
        run(micro_spec(policy=chosen), out / name, workers=workers)
    return {path.name: path for path in out.iterdir()}


def arms(folder: Path) -> dict[str, Any]:
    return {arm["name"]: arm for arm in json.loads((folder / "result.json").read_text())["arms"]}


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_study_reads_the_same(studies: dict[str, Path], name: str) -> None:
    plain, other = arms(studies["plain"]), arms(studies[name])
    assert plain.keys() == other.keys()
    values = {arm: (plain[arm]["success"]["value"], other[arm]["success"]["value"]) for arm in plain}
    assert any(a for a, _ in values.values())
    for arm, (a, b) in values.items():  # None: nothing to train on
        assert (a is None and b is None) or abs(a - b) <= 0.05, arm


def test_rl_learns_the_same_curve(tmp_path: Path) -> None:
    """Within what another training seed does: equal seeds start with equal episodes, and part at the first near tie."""
    profile = replace(MICRO, train_tasks=40, steps=16, groups=8, group_size=16, checkpoint_every=16)

    def curve(policy: str, seed: int) -> np.ndarray:
        spec = replace(micro_spec(seed=seed, policy=policy, digits=[4]), profile=profile)
        status = train_one(spec, tmp_path / f"{policy}-{seed}", Treatment.RL, World.LIVE, report=lambda *_: None)
        lines = (Path(status["weights"]) / "metrics.jsonl").read_text().splitlines()
        return np.array([json.loads(line)["reward"] for line in lines])

    plain, other, mine = curve("tiny", 0), curve("tiny", 1), curve("vllm:tiny", 0)
    assert mine[0] == plain[0]
    assert mine[-4:].mean() > mine[:4].mean() + 0.1  # it learns
    noise = max(0.1, float(np.abs(other - plain).mean()))
    assert np.abs(mine - plain).mean() <= noise
