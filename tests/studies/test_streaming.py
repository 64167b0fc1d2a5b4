"""The rollout engine with sessions that take requests while others run: nobody waits for somebody else's tool."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from langchain_core.tools import BaseTool, StructuredTool

from reachlab import ActRequest, Budget, Message, Session, StopReason, Task, Turn, World
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import PolicyFault
from reachlab.policies.scripted import ScriptedPolicy, ScriptedSession
from reachlab.studies.rollout import rollout
from reachlab.studies.streaming import Streaming

FAMILY = Lexicon(digits=(1, 2), hops=(1, 2))
WIDE = Budget(turns=4, tokens=4000, calls=3, observation_tokens=400)
SEEDS = list(range(24))
TASKS = [FAMILY.task("test", i) for i in range(24)]
SECONDS = 20.0
"""Waited for what must come; reached only where something is stuck."""


@dataclass
class OneByOne(ScriptedSession):
    """A session whose engine finishes one turn a step."""

    waiting: list[ActRequest] = field(default_factory=list)

    def submit(self, request: ActRequest) -> None:
        self.waiting.append(request)

    def poll(self) -> list[tuple[int, Turn]]:
        return list(self.act([self.waiting.pop(0)])) if self.waiting else []


@dataclass(frozen=True)
class StreamingPolicy(ScriptedPolicy):
    def session(self) -> ScriptedSession:
        return OneByOne(self.script)


def solver(messages: Sequence[Message], rng: np.random.Generator) -> str:
    """Solves, or guesses where the search says nothing."""
    task = next(t for t in TASKS if t.messages[-1].content == messages[0].content.splitlines()[-1])
    seen = [m.content for m in messages if m.role == "tool"]
    return FAMILY.solution(task, seen) if all(seen) else FAMILY.guess(task, rng)


class Waiting:
    """Lexicon, whose search runs *before* first, for the first task."""

    def __init__(self, before: Callable[[], None]) -> None:
        self.before = before

    def __getattr__(self, name: str) -> Any:
        return getattr(FAMILY, name)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        [search] = FAMILY.tools(task)
        if task.id != TASKS[0].id:
            return [search]

        def slow(query: str) -> str:
            self.before()
            return str(search.invoke({"query": query}))

        return [StructuredTool.from_function(slow, name=search.name, description=search.description)]


def test_protocol() -> None:
    assert isinstance(OneByOne(solver), Streaming)
    session: Session = ScriptedSession(solver)
    assert not isinstance(session, Streaming)


@pytest.mark.parametrize("world", [World.CLOSED, World.SILENT, World.SHUFFLED, World.LIVE, World.ORACLE])
def test_episodes_are_those_of_going_in_step(world: World) -> None:
    in_step = rollout(ScriptedPolicy("s", solver), FAMILY, TASKS, world, SEEDS, budget=WIDE)
    streamed = rollout(StreamingPolicy("s", solver), FAMILY, TASKS, world, SEEDS, budget=WIDE)
    for one, other in zip(in_step, streamed, strict=True):
        assert (one.task, one.messages, one.stop, one.cost) == (other.task, other.messages, other.stop, other.cost)
        assert (one.transcript.ids == other.transcript.ids).all()


def test_others_finish_while_a_tool_is_slow() -> None:
    """The slow tool answers only once every other episode is over: going in step would never get there."""
    others = threading.Event()
    left = set(range(1, len(TASKS)))

    def script(messages: Sequence[Message], rng: np.random.Generator) -> str:
        said = solver(messages, rng)
        if "<tool_call>" not in said:
            left.discard(next(i for i, t in enumerate(TASKS) if t.messages[-1].content in messages[0].content))
            if not left:
                others.set()
        return said

    def wait() -> None:
        assert others.wait(SECONDS), "the others did not go on"

    family: Any = Waiting(wait)
    episodes = rollout(StreamingPolicy("s", script), family, TASKS, World.LIVE, SEEDS, budget=WIDE)
    assert [e.stop for e in episodes] == [StopReason.ANSWERED] * len(TASKS)
    assert all(e.reward == 1 for e in episodes)
    assert episodes[0].seconds >= max(e.seconds for e in episodes[1:])


def test_a_tool_that_crashes_is_a_fault_of_its_episode_alone() -> None:
    def crash() -> None:
        raise OSError("the disk is full")

    family: Any = Waiting(crash)
    episodes = rollout(StreamingPolicy("s", solver), family, TASKS, World.LIVE, SEEDS, budget=WIDE)
    assert episodes[0].stop is StopReason.FAULT and "the disk is full" in episodes[0].detail
    assert all(e.reward == 1 for e in episodes[1:])


def test_what_stops_a_run_is_raised_at_once_though_a_tool_still_runs() -> None:
    release = threading.Event()

    @dataclass
    class Broken(OneByOne):
        def poll(self) -> list[tuple[int, Turn]]:
            if len(self.waiting) < 4:
                raise PolicyFault("the weights are not the policy's")
            return super().poll()

    @dataclass(frozen=True)
    class BrokenPolicy(ScriptedPolicy):
        def session(self) -> ScriptedSession:
            return Broken(self.script)

    family: Any = Waiting(lambda: None if release.wait(SECONDS) else None)
    began = time.monotonic()
    try:
        with pytest.raises(PolicyFault, match="not the policy"):
            rollout(BrokenPolicy("s", solver), family, TASKS, World.LIVE, SEEDS, budget=WIDE)
        assert time.monotonic() - began < SECONDS / 2
    finally:
        release.set()
