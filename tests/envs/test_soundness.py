"""``check_family`` finds what is planted, and nothing in the families that ship."""

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from langchain_core.tools import BaseTool, StructuredTool
from typer.testing import CliRunner

from reachlab import Budget, Family, Split, Task, World
from reachlab.cli import app
from reachlab.envs import ReachEnv, check_family
from reachlab.envs.lexicon import Lexicon
from reachlab.envs.program import Program
from reachlab.envs.soundness import play
from reachlab.findings import require


@pytest.mark.parametrize("family", [Lexicon(), Lexicon(hops=(2, 3), digits=(4,)), Program()], ids=["1", "2", "program"])
def test_the_families_that_ship_are_sound(family: Family) -> None:
    require(check_family(family, tasks=32))


def problems(family: object) -> dict[str, str]:
    found = check_family(family, tasks=32)  # type: ignore[arg-type]
    assert all(f.fix for f in found if f.status == "problem")
    return {f.promise: f.detail for f in found if f.status == "problem"}


class Leaking(Lexicon):
    def donor(self, task: Task) -> Task:
        return task


class Overlapping(Lexicon):
    def task(self, split: Split, seed: int) -> Task:
        return replace(super().task("test", seed), split=split)


class Unseeded(Lexicon):
    def task(self, split: Split, seed: int) -> Task:
        task = super().task(split, seed)
        return replace(task, evidence=f"{task.evidence} {random.random()}")


class Boasting(Lexicon):
    def solution(self, task: Task, observations: Sequence[str]) -> str:
        return super().solution(task, observations) if task.seed % 4 else "no idea"


class Bounded(Lexicon):
    def p0_bound(self, task: Task) -> float | None:
        return 1e-6


class Harder(Lexicon):
    def donor(self, task: Task) -> Task:
        return replace(super().donor(task), difficulty=(("digits", 9), ("hops", 1)))


class Strict(Lexicon):
    def task(self, split: Split, seed: int) -> Task:
        task = super().task(split, seed)
        return replace(task, answers=(*task.answers, "also fine"), verifier=First())


@dataclass(frozen=True)
class First:
    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        return float(text == answers[0])


class Forgetful(Lexicon):
    """Its tool counts the calls it has seen, and does not say that it keeps state."""

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [COUNTING]


def _search(query: str) -> str:
    return f"It is call {next(CALLS)}."


CALLS = itertools.count()
COUNTING = StructuredTool.from_function(_search, name="search", description="Count.")


class Crashing(Lexicon):
    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [StructuredTool.from_function(_crash, name="search", description="Crash.")]


def _crash(query: str) -> str:
    raise OSError("disk gone")


class Impatient(Lexicon):
    def guess(self, task: Task, rng: np.random.Generator) -> str:
        raise NotImplementedError("no guesser yet")


@pytest.mark.parametrize(
    ("family", "promise", "seen"),
    [
        (Leaking(digits=(4,)), "shuffled tells nothing", "script 128 of 128"),
        (Leaking(digits=(4,)), "a donor has other facts", "32 of 32"),
        (Overlapping(), "splits share no question", "code"),
        (Unseeded(), "a seed fixes the task", "differs"),
        (Unseeded(), "no global randomness", "random"),
        (Boasting(), "the script reaches the optimum", "24 of 32"),
        (Bounded(digits=(1,)), "bound on p0", "bound 1e-06"),
        (Harder(), "a donor is as hard", "dials"),
        (Strict(), "accepted answers are accepted", "lexicon"),
        (Forgetful(hops=(3,)), "a snapshot restores", "call"),
        (Crashing(), "no faults", "disk gone"),
        (Impatient(), "no information", "no guesser yet"),
        (Lexicon(digits=(4,), verifier="exact").task("test", 0), "it is a reachlab.Family", "tools"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_wrong_is_found(family: object, promise: str, seen: str) -> None:
    assert seen in problems(family)[promise]


def test_a_reward_that_a_caller_can_write_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ReachEnv.step

    def careless(env: Any, action: str) -> Any:
        handed = getattr(env, "handed", {})
        observation, reward, terminated, truncated, env.handed = honest(env, action)
        return observation, float(handed.get("reward", reward)), terminated, truncated, env.handed

    monkeypatch.setattr(ReachEnv, "step", careless)
    assert problems(Lexicon())["the reward cannot be written"] == "[0.0, 1.0]"


def test_the_script_plays_worlds_that_answer() -> None:
    family = Lexicon(digits=(5,))
    worlds = (World.LIVE, World.SHUFFLED, World.CLOSED)
    assert [play(family, family.task("test", 0), world).reward for world in worlds] == [1.0, 0.0, 0.0]


def test_budgets_too_small_for_the_script_are_found() -> None:
    @dataclass(frozen=True)
    class Tight(Lexicon):
        @property
        def budget(self) -> Budget:
            return Budget(turns=1, calls=0)

    assert "0 of 32" in problems(Tight())["the script reaches the optimum"]


def test_the_command() -> None:
    run = CliRunner().invoke
    fine = run(app, ["check-env", "lexicon", "--json"])
    found = json.loads(fine.stdout)["findings"]
    assert fine.exit_code == 0 and "the mask marks what was sampled" in {f["promise"] for f in found}
    quick = run(app, ["check-env", "lexicon", "--policy", "none", "--dial", "digits=[4]"])
    assert quick.exit_code == 0 and "sound" in quick.output
    assert run(app, ["check-env", "lexikon"]).exit_code == 2
