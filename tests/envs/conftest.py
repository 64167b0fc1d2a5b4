"""A small family whose tools a test chooses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from langchain_core.tools import BaseTool, StructuredTool

from reachlab import Budget, Message, Split, Task, ToolResult, Transcript, Verifier
from reachlab.envs.verifiers import Exact


@dataclass
class Toy:
    """Ask ``oracle_of(fact)``; the fact is the answer."""

    verifier: Verifier = field(default_factory=Exact)
    extra: tuple[BaseTool, ...] = ()
    budget: Budget = Budget(turns=4, tokens=64, calls=3)
    name: str = "toy"
    version: str = "1"
    mechanism: str = "asking"
    ran: list[str] = field(default_factory=list)

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, f"fact{seed}")

    def donor(self, task: Task) -> Task:
        return self._task(task.split, task.seed, f"donor{task.seed}")

    def tools(self, task: Task) -> Sequence[BaseTool]:
        def ask(subject: str) -> str:
            """Ask about a subject."""
            self.ran.append(subject)
            return task.answers[0]

        return [StructuredTool.from_function(ask), *self.extra]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        return observations[-1] if observations else CALL

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        return "?"

    def p0_bound(self, task: Task) -> float | None:
        return None

    def optimum(self, task: Task) -> float:
        return 1.0

    def _task(self, split: Split, seed: int, fact: str) -> Task:
        messages = (Message("system", "Be brief."), Message("user", "What is the fact?"))
        return Task(f"toy-{seed}", messages, (fact,), self.verifier, f"The fact is {fact}.", (), seed, split)


@dataclass(frozen=True)
class Saying:
    """An imaginer that writes the same text as every observation."""

    text: str

    def imagine(
        self,
        transcripts: Sequence[Transcript],
        results: Sequence[Sequence[ToolResult]],
        seeds: Sequence[int],
        max_tokens: int,
    ) -> list[str]:
        return [self.text] * len(seeds)


CALL = '<tool_call>{"name": "ask", "arguments": {"subject": "fact"}}</tool_call>'


@pytest.fixture
def toy() -> Callable[..., Toy]:
    """Makes a family; its ``ran`` lists what its tool was asked."""
    return Toy


@pytest.fixture
def call() -> str:
    """A well-formed call of the family's tool."""
    return CALL
