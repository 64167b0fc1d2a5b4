"""Program keeps its word: the optimum through the real sandbox, the guesser, splits, donors, faults."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from reachlab import Family, Message, SandboxLimits, StopReason, Task, World
from reachlab.envs import Interaction, ReachEnv
from reachlab.envs.information import play
from reachlab.envs.program import KINDS, LENGTHS, Program, problem
from reachlab.errors import BadValue, UnknownName
from reachlab.policies.scripted import ScriptedPolicy
from reachlab.sandbox.jail import Jail
from reachlab.sandbox.jail.inside import usage
from reachlab.studies.rollout import rollout
from reachlab.tools import Hermes, python_tool

SMALLEST = Program(lengths=(2,))


@pytest.fixture(scope="module")
def jail() -> Iterator[Jail]:
    with closing(Jail()) as started:
        yield started


def tasks(family: Program, count: int) -> list[Task]:
    return [family.task("test", seed) for seed in range(count)]


def test_it_is_a_family() -> None:
    assert isinstance(Program(), Family)


@pytest.mark.parametrize("kind", KINDS)
def test_programs_print_the_answer_that_was_computed_without_them(jail: Jail, kind: str) -> None:
    for length in LENGTHS:
        for seed in range(12):
            posed = problem(0, kind, length, "test" if seed % 2 else "train", seed, 0)
            printed = jail.run(posed.program, SandboxLimits()).stdout.decode()
            assert printed == f"{posed.answer}\n" and len(posed.answer) == length


def test_the_scripted_solution_reaches_the_optimum_under_the_default_budget() -> None:
    family = Program()
    for task in tasks(family, 36):
        episode = play(family, task, World.LIVE)
        assert episode.reward == family.optimum(task) == 1.0
        assert episode.cost.calls == 1 and episode.cost.turns == 2
    assert len({task.stratum for task in tasks(family, 12)}) == 12


def test_a_shuffled_program_gets_what_the_donors_program_prints(jail: Jail) -> None:
    family = Program(lengths=(4, 6))
    right = 0
    for task in tasks(family, 80):
        episode = Interaction(family, task, World.SHUFFLED)
        assert episode.prompt.messages == task.messages
        (result,) = episode.step(family.solution(task, [])).results
        assert result.text == family.donor(task).answers[0] and not result.is_error
        assert family.donor(task).difficulty == task.difficulty
        right += int(episode.step(result.text).reward)
    assert right <= 1


def test_shuffled_results_do_not_depend_on_what_was_asked_or_how_often() -> None:
    family = Program(lengths=(4,), calls=3)
    task = family.task("test", 0)
    asked = ["print(1)", "raise ValueError", "import os; print(os.listdir('/'))"]
    episode = Interaction(family, task, World.SHUFFLED)
    results = [episode.step(Hermes().render("python", {"code": code})).results[0] for code in asked]
    assert {r.text for r in results} == {family.donor(task).answers[0]}
    malformed = Interaction(family, task, World.SHUFFLED).step(Hermes().render("python", {"kode": "print(1)"})).results
    assert malformed[0].is_error and "code" in malformed[0].text


@pytest.mark.parametrize("kind", KINDS)
def test_shuffled_tells_a_hard_task_no_more_than_chance(kind: str) -> None:
    """The donor's answer is the task's own at most as often as a task within reach of a thousand attempts allows."""
    answers = [problem(0, kind, 4, "test", seed, 0).answer for seed in range(20_000)]
    frequency = np.unique(answers, return_counts=True)[1] / len(answers)
    collision = (frequency**2).sum() - 1 / len(answers)  # unbiased up to 1/n
    assert collision < 6.9e-4


def test_variables_stay_from_one_call_to_the_next_and_end_with_the_episode() -> None:
    family = Program(calls=2)
    first, second = (Interaction(family, family.task("test", s), World.LIVE) for s in (0, 1))
    for episode, value in ((first, "one"), (second, "two")):
        episode.step(Hermes().render("python", {"code": f"x = '{value}'"}))
    read = Hermes().render("python", {"code": "print(x)"})
    assert [e.step(read).results[0].text for e in (first, second)] == ["one", "two"]
    later = Interaction(family, family.task("test", 0), World.LIVE).step(read).results[0]
    assert later.is_error and "NameError" in later.text


def test_the_guesser_has_the_stated_chance() -> None:
    rng, n = np.random.default_rng(0), 12_000
    hits = dict.fromkeys(KINDS, 0)
    for i in range(n):
        task = SMALLEST.task("test", i)
        hits[task.difficulty[0][0]] += int(task.verify(SMALLEST.guess(task, rng)))
    for kind, found in hits.items():
        assert binomtest(found, n // len(KINDS), 1 / 90 if kind == "reverse" else 1 / 100).pvalue > 1e-4


def test_there_is_no_policy_free_bound() -> None:
    assert Program().p0_bound(Program().task("test", 0)) is None


def test_splits_share_no_question() -> None:
    def posed(split: Any) -> set[str]:
        return {Program().task(split, seed).messages[0].content for seed in range(2400)}

    assert not posed("train") & posed("test")


@pytest.mark.parametrize(
    ("dials", "problem"),
    [
        ({"kinds": ("iterat",)}, "iterate"),
        ({"kinds": ()}, "at least one"),
        ({"lengths": (3,)}, "2, 4 or 6"),
        ({"lengths": ("2",)}, "2, 4 or 6"),
        ({"calls": 0}, "1 to 8"),
        ({"verifier": "exactly"}, "exact"),
        ({"sandbox": "jial"}, "jail"),
    ],
)
def test_bad_dials_say_what_is_allowed(dials: dict[str, Any], problem: str) -> None:
    with pytest.raises((BadValue, UnknownName), match=problem):
        Program(**dials)


def test_an_answer_that_somebody_talks_around_can_be_accepted() -> None:
    family = Program(verifier="last-word")
    for task in tasks(family, 4):
        assert task.verify(f"I computed it.\nThe answer is {task.answers[0]}.") == 1.0
        assert task.verify("I do not know") == 0.0


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Watched(Program):
    """Program over one jail that a test may kill."""

    def __init__(self, jail: Jail) -> None:
        super().__init__(calls=2)
        object.__setattr__(self, "tool", python_tool(jail))

    def tools(self, task: Task) -> list[Any]:
        return [self.tool]  # type: ignore[attr-defined]


@pytest.fixture
def doomed() -> Iterator[tuple[Watched, Callable[[], None]]]:
    """A family, and what kills every process of its backend."""
    before = set(usage.children(os.getpid()))
    with closing(Jail()) as jail:

        def kill() -> None:
            doomed = set(usage.children(os.getpid())) - before
            for pid in doomed:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + 10
            while any(map(_runs, doomed)):  # what is killed takes a moment to let go of its sockets
                assert time.monotonic() < end
                time.sleep(0.01)

        yield Watched(jail), kill


def test_a_backend_that_dies_ends_the_episode_as_a_fault(doomed: tuple[Watched, Callable[[], None]]) -> None:
    family, kill = doomed
    task = family.task("test", 0)
    episode = Interaction(family, task, World.LIVE)
    assert episode.step(family.solution(task, [])).stop is None
    kill()
    end = episode.step(family.solution(task, []))
    assert (end.stop, end.reward) == (StopReason.FAULT, 0.0)
    assert "jail" in end.detail and episode.cost.verifier_calls == 0
    assert play(family, task, World.LIVE).reward == 1.0  # the next episode has a backend again


def test_a_fault_is_not_scored_as_the_policys_failure(doomed: tuple[Watched, Callable[[], None]]) -> None:
    """Three episodes run side by side; the backend dies before the second one's second call."""
    family, kill = doomed
    asked, second_turns = family.task("test", 1), [0]

    def script(messages: Sequence[Message], rng: np.random.Generator) -> str:
        if messages[-1].role == "user":
            return family.solution(asked, [])
        second_turns[0] += 1
        if second_turns[0] != 2:
            return messages[-1].content
        kill()
        return family.solution(asked, [])

    roomy = replace(family.budget, tokens=1000)  # of a scripted policy a token is a byte
    episodes = rollout(ScriptedPolicy("s", script), family, [asked] * 3, World.LIVE, [0, 1, 2], budget=roomy)
    assert [e.stop for e in episodes] == [StopReason.ANSWERED, StopReason.FAULT, StopReason.ANSWERED]
    assert [e.success for e in episodes] == [True, False, True]


def test_in_gymnasium_a_fault_truncates(doomed: tuple[Watched, Callable[[], None]]) -> None:
    family, kill = doomed
    env = ReachEnv(family)
    env.reset(seed=0)
    env.step(Hermes().render("python", {"code": "print(1)"}))
    kill()
    _, reward, terminated, truncated, info = env.step(Hermes().render("python", {"code": "print(1)"}))
    assert (reward, terminated, truncated, info["stop"]) == (0.0, False, True, "fault")
