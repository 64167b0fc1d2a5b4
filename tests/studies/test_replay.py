"""Recorded episodes played again: the same bit for bit, and other answers where the evidence is another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from reachlab import Episode, Message, StopReason, World
from reachlab.cli import app
from reachlab.envs.lexicon import Lexicon
from reachlab.envs.program import Program
from reachlab.errors import BadValue, UnknownName
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.studies import run
from reachlab.studies.context import open_run
from reachlab.studies.designs import PRIMARY
from reachlab.studies.provenance import provenance
from reachlab.studies.replay import again, difference, replay_run, with_donors_evidence
from reachlab.studies.rollout import rollout
from reachlab.studies.store import read_episodes, write_episodes
from reachlab.tools import Hermes

from .conftest import micro_spec

FAMILY = Lexicon(digits=(4,), hops=(1, 2), entities=16)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("replay") / "run"
    run(micro_spec(family="program", design="core", kinds=["sort", "digest"], lengths=[2, 4]), out, workers=1)
    return out


def sampled(base: HuggingFacePolicy, world: World = World.LIVE) -> list[Episode]:
    tasks = [FAMILY.task("test", i % 8) for i in range(48)]
    return rollout(base, FAMILY, tasks, world, list(range(48)), imaginer=base.imaginer())


def test_a_whole_run_repeats_itself_without_its_tools(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reachlab.tools.executor.ToolExecutor.execute", _no_tools)
    found = replay_run(finished)
    assert found.episodes > 2000 and found.differences == () and found.skipped == 0


def _no_tools(*_: object) -> None:
    raise AssertionError("a replay runs no tool")


def test_what_was_changed_on_disk_is_found(finished: Path, tmp_path: Path) -> None:
    context = open_run(finished)
    path = context.store.episodes(PRIMARY, 0, 0)
    episodes, before = read_episodes(path), path.read_bytes()
    seen = next(i for i, e in enumerate(episodes) if any(m.role == "tool" for m in e.messages))
    place = next(i for i, m in enumerate(episodes[seen].messages) if m.role == "tool")
    messages = list(episodes[seen].messages)
    messages[place] = Message("tool", "00")
    try:
        changed = replace(episodes[seen], messages=tuple(messages))
        write_episodes(path, [*episodes[:seen], changed, *episodes[seen + 1 :]])
        (found,) = replay_run(finished, PRIMARY.name).differences
        assert (found.task, found.seed) == (episodes[seen].task, episodes[seen].seed)
        shown = CliRunner().invoke(app, ["replay", str(finished), "--arm", PRIMARY.name])
        assert shown.exit_code == 4 and found.task in shown.output
    finally:
        path.write_bytes(before)


def test_a_replay_does_not_depend_on_the_threads_of_its_process(finished: Path) -> None:
    torch.set_num_threads(2)
    try:
        found = replay_run(finished, "base·live")
        assert torch.get_num_threads() == 2, "and gives them back"
    finally:
        torch.set_num_threads(1)
    assert found.episodes and found.differences == ()


@pytest.mark.parametrize("world", list(World))
def test_every_world_repeats_itself(base: HuggingFacePolicy, world: World) -> None:
    episodes = sampled(base, world)
    for old, new in zip(episodes, again(base, FAMILY, episodes, imaginer=base.imaginer()), strict=True):
        assert difference(old, new) == ""


def test_another_result_is_observed_and_everything_before_it_stays(base: HuggingFacePolicy) -> None:
    episodes = [e for e in sampled(base) if e.success]
    swapped = with_donors_evidence(base, FAMILY, episodes)
    followed = 0
    for old, new in zip(episodes, swapped, strict=True):
        place = max(i for i, m in enumerate(old.messages) if m.role == "tool")
        assert new.messages[:place] == old.messages[:place]
        assert new.messages[place] != old.messages[place]
        followed += FAMILY.donor(FAMILY.task("test", old.task_seed)).verify(new.messages[-1].content) == 1.0
    assert followed > 0.5 * len(episodes)


def knows_and_calls(messages: Sequence[Message], rng: np.random.Generator) -> str:
    """Calls the tool for show; says what it would have said anyway."""
    number = sum(map(ord, messages[0].content)) % 100
    return f"{number:02d}" if messages[-1].role == "tool" else Hermes().render("python", {"code": "print(1)"})


def test_an_answer_that_does_not_rest_on_what_was_observed_does_not_flip() -> None:
    family, policy = Program(lengths=(2,)), ScriptedPolicy("knower", knows_and_calls)
    tasks = [family.task("test", i) for i in range(4)]
    budget = replace(family.budget, tokens=1000)
    episodes = rollout(policy, family, tasks, World.LIVE, [0] * 4, budget=budget)
    assert {e.stop for e in episodes} == {StopReason.ANSWERED}
    for old, new in zip(episodes, with_donors_evidence(policy, family, episodes), strict=True):
        assert new.messages[-1] == old.messages[-1]


def test_provenance_splits_success(finished: Path) -> None:
    found = provenance(finished)
    assert found["arm"] == "rl·live" and found["episodes"] == 160
    assert found["success"]["value"] == pytest.approx(found["verified"]["value"] + found["unmoved"]["value"])
    assert found["verified"]["value"] >= 0.8 * found["success"]["value"] > 0
    assert all(found[n]["ci"][0] <= found[n]["value"] <= found[n]["ci"][1] for n in ("success", "verified", "follows"))
    shown = CliRunner().invoke(app, ["provenance", str(finished), "--json"])
    assert json.loads(shown.stdout) == found


def test_a_repetition_that_ends_in_a_fault_says_nothing(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_broken(*given: Any) -> list[Episode]:
        first, *rest = with_donors_evidence(*given)
        return [replace(first, stop=StopReason.FAULT, reward=0.0), *rest]

    monkeypatch.setattr("reachlab.studies.provenance.with_donors_evidence", one_broken)
    found = provenance(finished)
    assert found["faults"] > 0 and found["episodes"] + found["faults"] == 160
    assert found["success"]["value"] == pytest.approx(found["verified"]["value"] + found["unmoved"]["value"])


def test_arms_that_cannot_be_meant_are_named(finished: Path) -> None:
    with pytest.raises(UnknownName, match="rl·live"):
        replay_run(finished, "rl-live")
    with pytest.raises(BadValue, match="evaluated live"):
        provenance(finished, "base·closed")


def test_a_record_that_does_not_fit_is_a_fault(base: HuggingFacePolicy) -> None:
    episode = next(e for e in sampled(base) if any(m.role == "tool" for m in e.messages))
    forgotten = replace(episode, messages=tuple(m for m in episode.messages if m.role != "tool"))
    (new,) = again(base, FAMILY, [forgotten])
    assert new.stop is StopReason.FAULT and "record" in new.detail
    with pytest.raises(BadValue, match="recorded task"):
        again(base, Lexicon(digits=(5,), name="other"), [replace(episode, task="other-0")])


def test_a_run_is_repeated_from_its_own_record(finished: Path, tmp_path: Path) -> None:
    invoke = CliRunner().invoke
    same = invoke(app, ["repeat", str(finished), "--out", str(tmp_path / "again"), "--workers", "1"])
    assert same.exit_code == 0 and "the same result" in same.output
    result = json.loads((tmp_path / "again" / "result.json").read_text())
    result["leak"] = None
    (tmp_path / "again" / "result.json").write_text(json.dumps(result))
    other = invoke(app, ["repeat", str(tmp_path / "again"), "--out", str(tmp_path / "third"), "--workers", "1"])
    assert other.exit_code == 4 and "differs in leak" in other.output
    assert invoke(app, ["repeat", str(tmp_path), "--out", str(tmp_path / "x")]).exit_code == 2
