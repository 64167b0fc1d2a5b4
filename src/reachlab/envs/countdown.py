"""Countdown: combinatorial search. Make a number out of others; a tool says how far an attempt is off.

``Make 24 from 3, 7 and 3, each once, with + - * and parentheses. Reply with the expression only.`` No information about
the task enters through ``check``, only verification: what it buys is attempts that do not count.

==================  ============================================================================================
observation         text (``spaces.Unicode``): the prompt, then what an expression makes and how far that is away
action              text (``spaces.Unicode``): the assistant's raw turn
reward              1 if the final turn is an expression of exactly these numbers that makes the target, else 0
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault
dials               ``numbers`` (how many, 2 to 5, from 1 to ``largest``), ``calls`` (of ``check``)
closed-book p0      no policy-free bound: a policy that searches in its head needs no tool. Many expressions are
                    right, so p0 is sampled. The guesser draws an order and operators at random, without parentheses;
                    its success is the share of these n! 3^(n-1) expressions that make the target (``flat_success``)
optimum             1: every target is made by an expression without parentheses (``flat_solutions``)
==================  ============================================================================================

Splits share no question: the target is even in training, odd in test.
Not covered: division, numbers left out, the nearest miss as partial credit.
"""

from __future__ import annotations

import ast
import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product
from typing import Annotated

import numpy as np
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import Field

from reachlab import Budget, Split, Task
from reachlab.envs.dials import several, whole
from reachlab.envs.posed import check_common, checked_seed, donor_of, pose
from reachlab.envs.words import parity
from reachlab.errors import BadValue
from reachlab.seeding import generator
from reachlab.tools.hermes import Hermes

SIGNS = "+-*"
MOST_CHARS = 120
DESCRIPTION = "Say what an expression makes, and how far it is from the target."
TOLD = re.compile(r"-?\d+, (right|(?P<away>\d+) away)")
"""What ``check`` prints of an expression."""
_OPERATIONS: Mapping[type[ast.AST], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
}  # fmt: skip


def question(numbers: Sequence[int], target: int) -> str:
    listed = f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    return f"Make {target} from {listed}, each once, with + - * and parentheses. Reply with the expression only."


def value_of(expression: str, numbers: Sequence[int]) -> int:
    """What an expression of exactly *numbers* makes. ``ToolException``: it is none."""
    if len(expression) > MOST_CHARS or not re.fullmatch(r"[\d\s+\-*()]+", expression, re.ASCII) or "**" in expression:
        raise ToolException("An expression holds the numbers, + - * and parentheses.")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError):
        raise ToolException(f"{expression.strip()} is no expression.") from None
    used = Counter(node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    if used != Counter(numbers):
        raise ToolException(f"Use {', '.join(map(str, numbers))}, each once.")
    return _value(tree)


def _value(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATIONS[type(op)](_value(left), _value(right))
        case _:
            raise ToolException("A sign stands between two numbers.")


def flat(order: Sequence[int], signs: Sequence[str]) -> str:
    return str(order[0]) + "".join(f"{sign}{n}" for sign, n in zip(signs, order[1:], strict=True))


@lru_cache(maxsize=4096)
def flat_values(numbers: tuple[int, ...]) -> dict[str, int]:
    """The value of each expression without parentheses: n! 3^(n-1) of them, equal ones of equal numbers once."""
    signs = list(product(SIGNS, repeat=len(numbers) - 1))
    written = {flat(order, s) for order in permutations(numbers) for s in signs}
    return {expression: value_of(expression, numbers) for expression in sorted(written)}


def flat_solutions(numbers: tuple[int, ...], target: int) -> list[str]:
    return [expression for expression, value in flat_values(numbers).items() if value == target]


def flat_success(numbers: tuple[int, ...], target: int) -> float:
    """The guesser's success. Equal numbers make each of its expressions equally more likely."""
    return len(flat_solutions(numbers, target)) / len(flat_values(numbers))


@dataclass(frozen=True, slots=True)
class Makes:
    """``reachlab.Verifier``: any expression of the numbers that makes the target. Many do: p0 is sampled."""

    numbers: tuple[int, ...]
    target: int
    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        try:
            return float(value_of(text, self.numbers) == self.target)
        except ToolException:
            return 0.0


@lru_cache(maxsize=4096)
def check_tool(numbers: tuple[int, ...], target: int) -> BaseTool:
    def check(expression: Annotated[str, Field(description="An expression of the numbers.")]) -> str:
        value = value_of(expression, numbers)
        return f"{value}, right" if value == target else f"{value}, {abs(value - target)} away"

    return StructuredTool.from_function(check, description=DESCRIPTION, metadata={"computes": True})


@dataclass(frozen=True)
class Countdown:
    """The family; see the module's docstring for questions, spaces, reward, p0 and dials."""

    numbers: tuple[int, ...] = (2, 3, 4)
    largest: int = 9
    calls: int = 4
    salt: int = 0
    name: str = "countdown"
    version: str = "0"
    mechanism: str = "search with verification"

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", several("numbers", self.numbers, 5, "whole numbers from 2 to 5"))
        if min(self.numbers) < 2:
            raise BadValue("numbers", self.numbers, "whole numbers from 2 to 5")
        if not whole(self.largest) or not 4 <= self.largest <= 99:
            raise BadValue("largest", self.largest, "a whole number, 4 to 99")
        if not whole(self.calls) or not 1 <= self.calls <= 16:
            raise BadValue("calls", self.calls, "a whole number, 1 to 16")
        check_common(self)

    @property
    def budget(self) -> Budget:
        turn = 24 + 4 * max(self.numbers)
        return Budget(self.calls + 1, turn * (self.calls + 1), self.calls, observation_tokens=16)

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        posed = self._posed(task)
        return [check_tool(posed.numbers, posed.target)]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        """Checks a solution, then says it."""
        (answer,) = task.answers
        return answer if observations else Hermes().render("check", {"expression": answer})

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        posed = self._posed(task)
        order = rng.permutation(posed.numbers).tolist()
        return flat(order, rng.choice(list(SIGNS), size=len(order) - 1).tolist())

    def progress(self, task: Task, observations: Sequence[str]) -> float:
        """``reachlab.Heuristic``: 1 once ``check`` said right; else 1 / (1 + the least distance that it printed), times
        the share of calls that are left: being close is worth what can still be tried."""
        told = [found for text in observations if (found := TOLD.fullmatch(text))]
        if any(found["away"] is None for found in told):
            return 1.0
        left = max(0, self.calls - len(observations)) / self.calls
        return max((left / (1 + int(found["away"])) for found in told), default=0.0)

    def p0_bound(self, task: Task) -> float | None:
        return None

    def optimum(self, task: Task) -> float:
        return 1.0

    def _posed(self, task: Task) -> Posed:
        ((_, count),) = task.difficulty
        return posed(self.salt, task.split, task.seed, donor_of(task), count, self.largest)

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        count = self.numbers[checked_seed(seed) % len(self.numbers)]  # strata take turns
        drawn = posed(self.salt, split, seed, donor, count, self.largest)
        return pose(
            self.name, split, seed, donor, question(drawn.numbers, drawn.target), [drawn.solution],
            Makes(drawn.numbers, drawn.target), f"{drawn.solution} = {drawn.target}.", numbers=count,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Posed:
    """One question and an expression that solves it."""

    numbers: tuple[int, ...]
    target: int
    solution: str


@lru_cache(maxsize=65536)
def posed(salt: int, split: Split, seed: int, donor: int, count: int, largest: int) -> Posed:
    """Numbers and operators until the target is positive, below 1,000 and of the split's parity."""
    rng = generator(salt, "countdown", split, seed, donor, count, largest)
    while True:
        numbers = tuple(rng.integers(1, largest + 1, size=count).tolist())
        solution = flat(numbers, rng.choice(list(SIGNS), size=count - 1).tolist())
        target = value_of(solution, numbers)
        if 0 < target < 1000 and target % 2 == parity(split):
            break
    return Posed(tuple(rng.permutation(numbers).tolist()), target, solution)
