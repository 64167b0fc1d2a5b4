"""``check_family`` finds what is planted, and nothing in the families that ship."""

import itertools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from typer.testing import CliRunner

from reachlab import Budget, Episode, Family, Split, Task, Verifier, World
from reachlab.cli import app
from reachlab.envs import ReachEnv, check_family
from reachlab.envs.dataset import Dataset
from reachlab.envs.information import play
from reachlab.envs.lexicon import Lexicon
from reachlab.findings import require
from reachlab.registry import SHORT_NAMES, Spec, resolve
from reachlab.studies import soundness
from reachlab.studies.rollout import rollout
from reachlab.studies.soundness import check_with_policy
from reachlab.tools.outside.shared import close_shared

from .test_textgym import Number


def rows(folder: Path, made: Callable[[int], Mapping[str, Any]], count: int = 300) -> str:
    (folder / "qa.jsonl").write_text("\n".join(json.dumps(made(n)) for n in range(count)))
    return str(folder / "qa.jsonl")


def products(n: int) -> Mapping[str, Any]:
    return {"question": f"What is {n} times 7?", "answer": 7 * n, "text": f"{n} times 7 is {7 * n}."}


OPTIONS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "lexicon": lambda folder: [{}, {"hops": [2, 3], "digits": [4]}],
    "arithmetic": lambda folder: [{}, {"operators": ["+", "-"]}],
    "program": lambda folder: [{}],
    "lock": lambda folder: [{}, {"dials": [2], "positions": [5], "calls": 2}],
    "countdown": lambda folder: [{}],
    "maze": lambda folder: [{}, {"junctions": [3], "ways": [2], "calls": 4}],
    "rule": lambda folder: [{}],
    "hash": lambda folder: [{}],
    "composition": lambda folder: [{}],
    "dataset": lambda folder: [
        {"path": rows(folder, products), "columns": {"documents": "text"}, "top_k": 1},
        {"path": rows(folder, products), "verifier": "numeric", "affordances": ["calculator"]},
    ],
    "reasoning-gym": lambda folder: [{"affordances": ["calculator"]}],
    "textgym": lambda folder: [{"env": f"{Number.__module__}:Number", "options": {"top": 64}, "calls": 6}],
}
"""What every family of the registry is tried with: workable options of each, one or several."""


NEEDS_AN_EXTRA = {"reasoning-gym"}
LISTED = [pytest.param(n, marks=pytest.mark.services if n in NEEDS_AN_EXTRA else ()) for n in SHORT_NAMES["families"]]


@pytest.mark.parametrize("name", LISTED)
def test_every_family_that_is_listed_passes_gymnasiums_check_and_this_one(name: str, tmp_path: Path) -> None:
    if name not in OPTIONS:
        pytest.fail(f"the family {name!r} is registered, and OPTIONS of this test say nothing of it")
    if name in NEEDS_AN_EXTRA:
        pytest.importorskip("reasoning_gym", reason="needs the extra reasoning-gym, which `make services` installs")
    for options in OPTIONS[name](tmp_path):
        family = Spec(name, options).build("families")
        for world in World:
            check_env(gymnasium.make("reachlab/Lexicon-v0", family=family, world=world.value).unwrapped)
        require(check_family(family, tasks=32))
    close_shared()


def test_no_option_is_left_of_a_family_that_is_gone() -> None:
    assert set(OPTIONS) <= set(SHORT_NAMES["families"])


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


class Quiet(Lexicon):
    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [StructuredTool.from_function(lambda query: "", name="search", description="Say nothing.")]


class Eternal(Lexicon):
    @property
    def budget(self) -> Budget:
        return Budget(seconds=float("inf"))


@dataclass(frozen=True)
class Scores:
    """Gold scores 1; every other text what *other* makes of it."""

    other: Callable[[str], float]
    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        return 1.0 if text in answers else self.other(text)


@dataclass(frozen=True)
class Judged(Lexicon):
    judge: Verifier = Scores(lambda text: 0.0)

    def task(self, split: Split, seed: int) -> Task:
        return replace(super().task(split, seed), verifier=self.judge)


class Knowing(Lexicon):
    """Its script never reads what it is told, as those of data sets do."""

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        return task.answers[0] if observations else super().solution(task, [])


class KnowingAndLeaking(Knowing):
    def donor(self, task: Task) -> Task:
        return task


class Telling(Lexicon):
    def task(self, split: Split, seed: int) -> Task:
        task = super().task(split, seed)
        (message,) = task.messages
        return replace(task, messages=(message._replace(content=f"{message.content} (It is {task.answers[0]}.)"),))


class Impatient(Lexicon):
    def guess(self, task: Task, rng: np.random.Generator) -> str:
        raise NotImplementedError("no guesser yet")


def _capital(country: str) -> str:
    return f"capital of {country}" if country.startswith("land") else "unknown"


def _parsed(number: str) -> str:
    if not number.isdigit():
        raise ToolException("no number")
    return f"It is {number}."


CAPITALS = StructuredTool.from_function(_capital, name="capital", description="Of a country.")
PARSES = StructuredTool.from_function(_parsed, name="parse", description="A number.")


@pytest.mark.parametrize(("tool", "seen"), [("CAPITALS", "same for 32 of 32"), ("PARSES", "errors in 32 of 32")])
def test_a_script_that_gets_nothing_to_shuffle_is_found(tool: str, seen: str, tmp_path: Path) -> None:
    path = rows(tmp_path, lambda n: {"question": f"Capital of {n}?", "answer": f"c{n}", "country": f"land{n}", "n": n})
    specs = [f"{__name__}:{tool}"]
    fit = {"CAPITALS": ("capital", {"country": "{country}"}), "PARSES": ("parse", {"number": "{n}{n}"})}
    name, arguments = fit[tool]
    assert seen in problems(Dataset(path, affordances=specs))["the script gets results to shuffle"]
    require(check_family(Dataset(path, affordances=specs, script={"name": name, "arguments": arguments}), 16))


@pytest.mark.parametrize("given", [Number(), Number])
def test_a_gymnasium_environment_is_told_to_be_wrapped(given: Any) -> None:
    (found,) = check_family(given)
    assert found.detail == "a Gymnasium environment" and "--dial env=" in found.fix


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
        (Quiet(), "live results say something", "16 of 16"),
        (Eternal(), "the time limit is kept", "None"),
        (Judged(judge=Scores(lambda text: 1 / len(text))), "any text is scored", "ZeroDivisionError"),
        (Judged(judge=Scores(float)), "any text is scored", "ValueError"),
        (Judged(judge=Scores(lambda text: float("nan"))), "any text is scored", "nan"),
        (Judged(judge=Scores(lambda text: 2.0)), "any text is scored", "2.0"),
        (Judged(judge=Scores(lambda text: 0.5)), "saying nothing is not paid", "'' -> 0.5"),
        (Judged(judge=Scores(lambda text: float(text[-1:] == "."), exact=True)), "exact is exact", "accepts"),
        (KnowingAndLeaking(digits=(4,)), "shuffled tells nothing", "results hold the answer 128 times"),
        (Lexicon(digits=(4,), verifier="exact").task("test", 0), "it is a reachlab.Family", "tools"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_wrong_is_found(family: object, promise: str, seen: str) -> None:
    assert seen in problems(family)[promise]


def notes(family: Family, tasks: int = 32) -> dict[str, str]:
    found = check_family(family, tasks)
    require(found)
    return {f.promise: f.detail for f in found if f.status == "note"}


def test_a_script_that_knows_its_answers_is_told_from_one_that_reads() -> None:
    assert "wins 128 of 128 in silent too" in notes(Knowing(digits=(4,)))["the script knows its answers"]
    assert "the script knows its answers" not in notes(Lexicon(digits=(4,)))


def test_a_prompt_that_holds_its_answer_is_noted() -> None:
    assert "in 128 of 128 tasks" in notes(Telling(digits=(4,)))["the prompt tells"]


def test_yes_no_questions_are_no_leak_and_a_page_with_every_fact_is_noted(tmp_path: Path) -> None:
    def parity(n: int) -> Mapping[str, Any]:
        return {"question": f"Is {n} even?", "answer": ("yes", "no")[n % 2]}

    assert "shuffled results hold answers" not in notes(Dataset(rows(tmp_path, parity), affordances=["python"]))
    page = " ".join(products(n)["text"] for n in range(50))
    told = notes(Dataset(rows(tmp_path, lambda n: {**products(n), "text": page}, 50), {"documents": "text"}))
    assert "beat a guess" in told["shuffled results hold answers"]


def test_a_family_of_few_tasks_is_checked_on_those(tmp_path: Path) -> None:
    family = Dataset(rows(tmp_path, products, 12), {"documents": "text"}, test_share=0.4)
    require(check_family(family))
    assert family.size("test") < 12


def test_one_prompt_for_all_tasks_is_noted_and_one_with_the_same_answer_is_broken() -> None:
    class OnePrompt(Lexicon):
        def task(self, split: Split, seed: int) -> Task:
            return replace(super().task(split, seed), messages=Lexicon().task("train", 0).messages)

    class FewShared(Lexicon):
        def task(self, split: Split, seed: int) -> Task:
            return replace(super().task("train" if seed == 3 else split, seed), split=split)

    def splits(family: Family) -> tuple[str, str]:
        (found,) = (f for f in check_family(family, 32) if f.promise == "splits share no question")
        return found.status, found.detail

    assert splits(OnePrompt())[0] == "note" and "1 prompts" in splits(OnePrompt())[1]
    assert splits(FewShared())[0] == "problem" and splits(FewShared())[1].startswith("1 of 32")


def test_a_call_that_is_answered_in_the_closed_world_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "offers_tools", property(lambda world: world is not World.ORACLE))
    assert problems(Lexicon())["closed is closed"] == "a call was answered"


def test_what_gymnasium_refuses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, shared = ReachEnv._view, dict[str, Any]()

    def view(env: ReachEnv) -> Any:
        observation, info = fresh(env)
        shared.update(info)
        return observation, shared  # the same object again

    monkeypatch.setattr(ReachEnv, "_view", view)
    assert "info" in problems(Lexicon())["gymnasium: closed"]


def test_a_mask_that_marks_other_tokens_than_the_sampled_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = resolve("policies", "tiny")()

    def shifted(*arguments: Any, **options: Any) -> list[Episode]:
        return [
            replace(e, transcript=replace(e.transcript, kinds=np.roll(e.transcript.kinds, 1)))
            for e in rollout(*arguments, **options)
        ]

    monkeypatch.setattr(soundness, "rollout", shifted)
    found = {f.promise: f for f in check_with_policy(Lexicon(), policy)}
    assert found["the mask marks what was sampled"].status == "problem"
    assert "template" in found["the mask marks what was sampled"].fix


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
