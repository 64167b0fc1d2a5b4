"""What an interaction touches outside itself: tools, the verifier, the clock.

``Real`` does it; ``Recorded`` answers from the log of an earlier episode, so that a restored one runs nothing again;
``Replayed`` takes an earlier episode's tool results and lets everything else happen anew.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reachlab import Executor, Json, Message, Step, StopReason, Task, ToolCall, ToolResult
from reachlab.errors import ToolFault


class Effects(Protocol):
    """One action's contact with the outside. ``ToolFault`` ends the episode as a fault."""

    def run(self, calls: Sequence[ToolCall]) -> list[ToolResult]: ...
    def verify(self, text: str) -> float: ...
    def late(self) -> str:
        """What to say if the wall-clock cap has passed, else the empty string."""
        ...


class Real:
    """Tools are called, the verifier scores, time passes."""

    def __init__(self, task: Task, executor: Executor | None, seconds: float, clock: Callable[[], float]) -> None:
        self._task, self._executor, self._clock = task, executor, clock
        self._seconds, self._deadline = seconds, clock() + seconds

    def run(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        assert self._executor is not None  # worlds without tools never get here
        return self._executor.execute(calls)

    def verify(self, text: str) -> float:
        """The reward; a verifier that crashes or leaves [0, 1] is the harness's failure, not the policy's."""
        try:
            reward = float(self._task.verify(text))
        except Exception as error:
            raise ToolFault(f"the verifier failed: {type(error).__name__}: {error}") from error
        if not 0.0 <= reward <= 1.0:
            raise ToolFault(f"the verifier returned {reward}, allowed: 0 to 1")
        return reward

    def late(self) -> str:
        return f"the wall-clock cap of {self._seconds:g} s passed" if self._clock() > self._deadline else ""


class Recorded:
    """What happened the first time."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def run(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        self._raise_fault()
        return list(self._step.results)

    def verify(self, text: str) -> float:
        self._raise_fault()
        return self._step.reward

    def late(self) -> str:
        return self._step.detail if self._step.stop is StopReason.SECONDS else ""

    def _raise_fault(self) -> None:
        if self._step.stop is StopReason.FAULT:
            raise ToolFault(self._step.detail)


Edit = Callable[[int, Sequence[ToolCall], Sequence[ToolResult]], Sequence[ToolResult]]
"""(which answered turn, its calls, what they returned) to what they return instead."""


class Replayed:
    """Tools answer turn by turn what they answered in an earlier episode, or what *edit* makes of it. The verifier
    scores anew. A turn the earlier episode did not have, or with another number of calls, is a fault."""

    def __init__(self, task: Task, messages: Sequence[Message], edit: Edit | None = None) -> None:
        self._scorer = Real(task, None, math.inf, lambda: 0.0)
        self._turns, self._edit, self._place = results_by_turn(messages), edit, 0

    def run(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        place, self._place = self._place, self._place + 1
        recorded = self._turns[place] if place < len(self._turns) else ()
        if len(recorded) != len(calls):
            raise ToolFault(f"the record has {len(recorded)} results for the {len(calls)} calls of turn {place + 1}")
        return list(self._edit(place, calls, recorded) if self._edit else recorded)

    def verify(self, text: str) -> float:
        return self._scorer.verify(text)

    def late(self) -> str:
        return ""


def results_by_turn(messages: Sequence[Message]) -> list[list[ToolResult]]:
    """The tool results of each turn that had some. Whether one was an error is not kept in messages: ``is_error`` is
    False throughout."""
    turns: list[list[ToolResult]] = []
    for before, message in zip(messages, messages[1:], strict=False):
        if message.role == "tool":
            if before.role != "tool":
                turns.append([])
            turns[-1].append(ToolResult(message.content))
    return turns


clock = time.monotonic
"""The default clock, in seconds."""


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of an interaction's log: what was done and what it led to. JSON and back without loss."""

    text: str
    tokens: int
    ended: bool
    step: Step

    def to_json(self) -> Json:
        s = self.step
        step = {
            "results": [[result.text, result.is_error] for result in s.results],
            "awaiting": s.awaiting,
            "reward": s.reward,
            "stop": s.stop and s.stop.value,
            "detail": s.detail,
        }
        return {"text": self.text, "tokens": self.tokens, "ended": self.ended, "step": step}

    @classmethod
    def from_json(cls, data: Json) -> Action:
        s = data["step"]
        step = Step(
            results=tuple(ToolResult(text, is_error) for text, is_error in s["results"]),
            awaiting=s["awaiting"],
            reward=s["reward"],
            stop=StopReason(s["stop"]) if s["stop"] else None,
            detail=s["detail"],
        )
        return cls(data["text"], data["tokens"], data["ended"], step)
