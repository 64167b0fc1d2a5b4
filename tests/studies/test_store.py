"""The run directory: nothing half-written is ever seen, and what cannot be read is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reachlab import Scores, World
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import CorruptRun
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.studies.rollout import rollout
from reachlab.studies.store import (
    publish_folder,
    published,
    read_episodes,
    read_json,
    write_episodes,
    write_json,
)


def test_episodes_come_back_as_they_were(base: HuggingFacePolicy, tmp_path: Path) -> None:
    family = Lexicon()
    episodes = rollout(base, family, [family.task("test", i) for i in range(8)], World.LIVE, list(range(8)))
    episodes[0] = replace(episodes[0], scores=Scores(1.0, 0.25, 0.5, 0.25, 0.75, 13.3))
    path = tmp_path / "a" / "0.parquet"
    write_episodes(path, episodes)
    for before, after in zip(episodes, read_episodes(path), strict=True):
        assert replace(before, transcript=after.transcript) == after
        assert (before.transcript.ids == after.transcript.ids).all()
        assert (before.transcript.kinds == after.transcript.kinds).all()
        assert np.allclose(before.transcript.logprobs, after.transcript.logprobs, atol=1e-6)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError), published(path) as temporary:
        temporary.write_text("half")
        raise ValueError
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_folder_that_fails_is_not_published(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("")
        raise ValueError

    with pytest.raises(ValueError):
        publish_folder(tmp_path / "out", fill)
    assert list(tmp_path.iterdir()) == []


def test_infinities_never_reach_a_result(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"k": float("inf")})


def test_a_broken_chunk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(CorruptRun, match=r"0\.parquet.*--resume"):
        read_episodes(path)
