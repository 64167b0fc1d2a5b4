"""The Gymnasium side: conformance, seeds, vector environments, snapshots."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from langchain_core.tools import StructuredTool
from pydantic import BaseModel, field_validator

from reachlab import Environment, World
from reachlab.envs import ENVIRONMENTS, ReachEnv, ReachVectorEnv
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import BadValue, UnknownName
from reachlab.registry import Spec

Make = Callable[..., Any]
LEXICON = "reachlab/Lexicon-v0"


def lexicon(world: str = "live", **options: Any) -> ReachEnv:
    env = gymnasium.make(LEXICON, world=world, entities=8, **options).unwrapped
    assert isinstance(env, ReachEnv)
    return env


def solve(env: ReachEnv, observations: list[str]) -> str:
    return env.family.solution(env.episode.task, observations)


@pytest.mark.parametrize("world", list(World))
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_gymnasium_accepts_every_world(name: str, world: World) -> None:
    check_env(gymnasium.make(name, world=world.value).unwrapped)


def test_make_works_in_a_fresh_interpreter() -> None:
    env = "gymnasium.make('reachlab.envs:reachlab/Lexicon-v0', world='oracle')"
    code = f"import gymnasium; print({env}.reset(seed=1)[0])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Reply with the code only." in out


def test_the_scripted_policy_earns_the_reward_through_the_environment() -> None:
    env = lexicon(hops=(3,))
    driven: Environment = env
    observation, info = driven.reset(seed=5)
    seen: list[str] = []
    for _ in range(3):
        observation, reward, terminated, truncated, info = driven.step(solve(env, seen))
        assert (reward, terminated, truncated, info["awaiting"]) == (0.0, False, False, "turn")
        seen.append(observation)
    observation, reward, terminated, truncated, info = driven.step(solve(env, seen))
    assert (observation, reward, terminated, truncated) == ("", 1.0, True, False)
    assert (info["stop"], info["awaiting"], info["turns"], info["calls"]) == ("answered", "nothing", 4, 3)
    assert [m["role"] for m in info["messages"]] == ["user"] + ["assistant", "tool"] * 3 + ["assistant"]


def test_the_seed_alone_fixes_the_task() -> None:
    first, second = lexicon(), lexicon()
    tasks = [first.reset(seed=s)[1]["task"] for s in range(20)]
    assert tasks == [second.reset(seed=s)[1]["task"] for s in range(20)]
    assert len(set(tasks)) > 10
    first.reset(seed=3), second.reset(seed=3)
    assert [first.reset()[1]["task"] for _ in range(5)] == [second.reset()[1]["task"] for _ in range(5)]


def test_reset_leaves_the_global_generator_alone() -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    env = lexicon()
    env.reset(seed=1)
    env.step("1")
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]


def test_options_name_a_task_and_a_misspelt_option_is_an_error() -> None:
    env = lexicon()
    assert env.reset(seed=1, options={"task_seed": 12})[1]["task_seed"] == 12
    with pytest.raises(UnknownName, match="Did you mean 'task_seed'"):
        env.reset(options={"taskseed": 12})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"world": "lvie"}, "Did you mean 'live'"),
        ({"split": "tset"}, "Did you mean 'test'"),
        ({"tasks": 0}, "tasks: got 0"),
        ({"digit": (4,)}, "Did you mean 'digits'"),
        ({"digits": (9,)}, "code lengths from 1 to 6"),
        ({"family": "lexikon"}, "Did you mean 'lexicon'"),
    ],
)
def test_bad_options_say_what_is_allowed(options: dict[str, Any], says: str) -> None:
    with pytest.raises((UnknownName, BadValue), match=says):
        ReachEnv(**options)


def test_stepping_before_reset_or_after_the_end_is_gymnasiums_error() -> None:
    env = ReachEnv()
    with pytest.raises(ResetNeeded):
        env.step("1")
    env.reset(seed=1)
    env.step("1")
    with pytest.raises(ResetNeeded, match="answered"):
        env.step("1")


def test_the_policys_failures_terminate_and_faults_truncate(toy: Make, call: str) -> None:
    def crash(a: str) -> str:
        """Crash."""
        raise OSError("disk full")

    env = ReachEnv(toy(extra=(StructuredTool.from_function(crash),)), budget={"turns": 2, "calls": 1})
    for action, terminated, stop in [(call * 2, True, "calls"), ("no", True, "answered"), (call + "x", False, "")]:
        env.reset(seed=1)
        assert env.step(action)[2:4] == (terminated, False)
        assert env.episode.stop == (stop or None)
    env.reset(seed=1)
    crashing = '<tool_call>{"name": "crash", "arguments": {"a": "x"}}</tool_call>'
    *_, terminated, truncated, info = env.step(crashing)
    assert (terminated, truncated, info["stop"]) == (False, True, "fault") and "disk full" in info["detail"]


def test_imagined_takes_the_observation_as_an_action(toy: Make, call: str) -> None:
    env = ReachEnv(toy(), "imagined")
    env.reset(seed=1)
    assert env.step(call)[4]["awaiting"] == "observation"
    observation, *_, info = env.step("made up")
    assert observation == "made up" and info["awaiting"] == "turn" and info["turns"] == 1


def test_changing_info_changes_nothing() -> None:
    env = lexicon()
    _, info = env.reset(seed=1)
    info["tools"][0]["function"]["name"] = "hacked"
    info["messages"].clear()
    _, again = env.reset(seed=1)
    assert again["tools"][0]["function"]["name"] == "search" and again["messages"]


@pytest.mark.parametrize(
    ("mode", "vector_kwargs"), [(None, {}), ("sync", {}), ("async", {"shared_memory": False})], ids=str
)
def test_vector_environments_carry_any_text(mode: str | None, vector_kwargs: dict[str, Any]) -> None:
    envs = gymnasium.make_vec(LEXICON, 2, mode, vector_kwargs, world="live", entities=8)
    if mode is None:
        assert isinstance(envs, ReachVectorEnv)
    observations, infos = envs.reset(seed=4)
    single = lexicon()
    assert list(observations) == [single.reset(seed=s)[0] for s in (4, 5)]
    observations, _, terminated, truncated, infos = envs.step(("é 漢 😀", "<tool_call>"))
    assert observations[1].startswith("Error:") and observations[0] == ""
    assert list(terminated) == [True, False] and not truncated.any()
    assert list(infos["stop"]) == ["answered", ""]
    envs.close()


def snapshot_after(env: ReachEnv, actions: list[str]) -> Any:
    env.reset(seed=9)
    for action in actions:
        env.step(action)
    return json.loads(json.dumps(env.snapshot()))


@pytest.mark.parametrize("world", ["live", "shuffled", "silent", "imagined"])
@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_restore_runs_no_tool_and_goes_on_as_if_nothing_had_happened(
    toy: Make, call: str, world: str, length: int
) -> None:
    bad = '<tool_call>{"name": "ask"}</tool_call>'
    actions = [call, "seen", bad, "fact1"] if world == "imagined" else [call, bad, "fact1"]
    family = toy()
    env, other = ReachEnv(family, world), ReachEnv(family, world)
    snapshot = snapshot_after(env, actions[:length])
    ran = len(family.ran)
    restored = other.restore(snapshot)
    assert len(family.ran) == ran
    assert restored == env._view() and other.snapshot() == env.snapshot()
    assert (other.episode.messages, other.episode.cost) == (env.episode.messages, env.episode.cost)
    for action in actions[length:]:
        assert other.step(action) == env.step(action)
    assert other.reset() == env.reset()  # the generator was restored too


def test_restore_goes_back_in_the_same_environment(toy: Make, call: str) -> None:
    env = ReachEnv(toy())
    snapshot = snapshot_after(env, [call])
    env.step("no")
    env.restore(snapshot)
    fact = env.episode.task.answers[0]
    assert env.step(fact)[1] == 1.0
    env.restore(snapshot)
    assert env.step("no")[1] == 0.0


def test_a_finished_or_faulty_episode_is_restored_without_its_verifier(toy: Make) -> None:
    scored = []

    class Counting:
        exact = False

        def __call__(self, text: str, answers: object) -> float:
            scored.append(text)
            if text == "crash":
                raise RuntimeError("no judge")
            return 0.5

    env = ReachEnv(toy(verifier=Counting()))
    for text in ("half", "crash"):
        snapshot = snapshot_after(env, [text])
        before, seen = env._view(), len(scored)
        assert env.restore(snapshot) == before and len(scored) == seen


def test_a_snapshot_of_another_study_is_refused(toy: Make) -> None:
    snapshot = snapshot_after(ReachEnv(toy()), [])
    for other in (ReachEnv(toy(), "silent"), ReachEnv(toy(), split="test"), ReachEnv(toy(version="2")), lexicon()):
        with pytest.raises(BadValue, match="snapshot"):
            other.restore(snapshot)


def test_a_snapshot_under_other_dials_is_refused() -> None:
    env = lexicon(digits=(4,))
    snapshot = snapshot_after(env, ['<tool_call>{"name": "search", "arguments": {"query": "a"}}</tool_call>'])
    others: list[dict[str, Any]] = [{"top_k": 2}, {"verifier": "last-number"}, {"digits": (4, 5)}]
    for dials in others:
        with pytest.raises(BadValue, match="snapshot"):
            lexicon(**{"digits": (4,), **dials}).restore(snapshot)
    same: list[Any] = [Spec("lexicon", {"digits": 4, "entities": 8}), Lexicon(digits=(4,), entities=8)]
    for family in same:  # however the family is named
        assert ReachEnv(family).restore(snapshot) == env._view()


def test_options_of_a_family_that_is_no_dataclass_are_part_of_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        def __init__(self, **options: Any) -> None:
            self._lexicon = Lexicon(**options)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._lexicon, name)

    monkeypatch.setattr("reachlab.envs.environment.Spec.build", lambda spec, kind: Other(**spec.options))
    snapshot = snapshot_after(ReachEnv("other", top_k=1), [])
    assert ReachEnv(Spec("other", {"top_k": 1})).restore(snapshot)
    with pytest.raises(BadValue, match="snapshot"):
        ReachEnv("other", top_k=2).restore(snapshot)


def test_a_crashing_validator_is_a_fault_in_every_world_with_tools(toy: Make) -> None:
    class Arguments(BaseModel):
        a: str

        @field_validator("a")
        @classmethod
        def _crash(cls, a: str) -> str:
            raise KeyError(a)

    bad = StructuredTool.from_function(lambda a: a, name="bad", description="d", args_schema=Arguments)
    for world in ("live", "silent", "imagined", "shuffled"):
        env = ReachEnv(toy(extra=(bad,)), world)
        env.reset(seed=1)
        *_, truncated, info = env.step('<tool_call>{"name": "bad", "arguments": {"a": "x"}}</tool_call>')
        assert truncated and info["stop"] == "fault" and "KeyError" in info["detail"]


def test_a_tool_that_keeps_state_says_that_it_cannot_be_restored(toy: Make) -> None:
    stateful = StructuredTool.from_function(lambda a: a, name="shell", description="d", metadata={"stateful": True})
    env = ReachEnv(toy(extra=(stateful,)))
    env.reset(seed=1)
    with pytest.raises(BadValue, match="shell"):
        env.snapshot()
    silent = ReachEnv(toy(extra=(stateful,)), "silent")
    silent.reset(seed=1)
    assert silent.snapshot()
