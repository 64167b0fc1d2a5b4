"""The shuffled world where tools compute on what the policy writes: it gets the donor's script, call by call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool

from reachlab import Budget, Task, World
from reachlab.envs import Interaction, ReachEnv
from reachlab.tools import Hermes

from .conftest import Toy


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def double(a: int) -> int:
    """Double a number."""
    return 2 * a


def computing(function: Callable[..., Any]) -> BaseTool:
    return StructuredTool.from_function(function, metadata={"computes": True})


@dataclass
class Sums(Toy):
    """Ask for the fact, then add: 100 and 1, 100 and 2 for the donor; 1 and 1, 1 and 2 for the task."""

    budget: Budget = Budget(turns=8, tokens=400, calls=8)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [*super().tools(task), computing(add), computing(double)]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        a = 100 if task.answers[0].startswith("donor") else 1
        steps = [super().solution(task, []), *(call("add", a=a, b=b) for b in (1, 2))]
        return [*steps, "done"][len(observations)]


def call(name: str, **arguments: int) -> str:
    return Hermes().render(name, arguments)


def shuffled() -> Interaction:
    family = Sums()
    return Interaction(family, family.task("train", 7), World.SHUFFLED)


def test_each_tool_has_its_own_place_in_the_script() -> None:
    episode = shuffled()
    texts = [episode.step(call("add", a=5, b=5)).results[0].text]
    texts += [episode.step('<tool_call>{"name": "ask", "arguments": {"subject": "x"}}</tool_call>').results[0].text]
    texts += [episode.step(call("add", a=5, b=5)).results[0].text for _ in range(2)]
    assert texts == ["101", "donor7", "102", "102"]


def test_calls_of_one_turn_count_one_after_the_other_and_malformed_ones_do_not() -> None:
    turn = call("add", a=5, b=5) + call("add", a=5) + call("add", a=6, b=6)
    first, malformed, second = shuffled().step(turn).results
    assert (first.text, second.text) == ("101", "102")
    assert malformed.is_error and "b" in malformed.text


def test_a_tool_that_the_script_never_calls_says_nothing() -> None:
    (result,) = shuffled().step(call("double", a=4)).results
    assert (result.text, result.is_error) == ("", False)


def test_a_restored_episode_goes_on_where_the_script_was() -> None:
    env = ReachEnv(Sums(), "shuffled")
    env.reset(seed=0)
    env.step(call("add", a=5, b=5))
    snapshot = env.snapshot()
    again = ReachEnv(Sums(), "shuffled")
    again.restore(snapshot)
    assert again.step(call("add", a=5, b=5))[0] == env.step(call("add", a=5, b=5))[0] == "102"


def test_live_computes() -> None:
    family = Sums()
    (result,) = Interaction(family, family.task("train", 7), World.LIVE).step(call("add", a=5, b=5)).results
    assert result.text == "10"
