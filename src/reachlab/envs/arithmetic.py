"""Arithmetic: computation. The question says everything; a calculator spares the work.

``What is 47 * 83? Reply with the number only.`` No information about the task enters through the tool, so creation
here means that the affordance's computation is beyond what the base can do in the same budget.

==================  ============================================================================================
observation         text (``spaces.Unicode``): the prompt, then the value of the expression
action              text (``spaces.Unicode``): the assistant's raw turn
reward              1 if the verifier accepts the final turn, else 0
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault
dials               ``operators`` (of ``+``, ``-``, ``*``), ``digits`` (of each number, 1 to 8)
closed-book p0      no policy-free bound: a policy that can multiply needs no tool. A given model's p0 is enumerated.
                    The guesser draws two numbers of that many digits and answers with their result; its success is
                    sum_v P(v)^2 over results v (``guess_success``, by enumeration up to 3 digits)
optimum             1 with ``calculator``, for a budget of one call and two turns
==================  ============================================================================================

Splits share no question: the first number is even in training, odd in test.
Not covered: expressions of several operators (Countdown has them), fractions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from langchain_core.tools import BaseTool

from reachlab import Budget, Split, Task
from reachlab.envs.dials import several
from reachlab.envs.posed import check_common, checked_seed, donor_of, pose
from reachlab.envs.verifiers import VERIFIERS
from reachlab.envs.words import number, parity
from reachlab.errors import BadValue, UnknownName
from reachlab.seeding import generator
from reachlab.tools.calculator import calculator_tool
from reachlab.tools.hermes import Hermes

OPERATORS = {"+": "sum", "-": "difference", "*": "product"}
"""With the name of each as a dial."""
_SIGNS = {name: sign for sign, name in OPERATORS.items()}
_ENUMERABLE_DIGITS = 3


def question(expression: str) -> str:
    return f"What is {expression}? Reply with the number only."


def result(a: int, operator: str, b: int) -> int:
    return {"+": a + b, "-": a - b, "*": a * b}[operator]


@lru_cache(maxsize=64)
def guess_success(operator: str, digits: int) -> float:
    """Chance that two independent draws of a question have the same result: sum_v P(v)^2, exactly."""
    if digits > _ENUMERABLE_DIGITS:
        raise BadValue("digits", digits, f"at most {_ENUMERABLE_DIGITS}: more are not enumerated")
    numbers = range(_least(digits), 10**digits)
    counts = Counter(result(a, operator, b) for a in numbers for b in numbers)
    total = len(numbers) ** 2
    return sum((n / total) ** 2 for n in counts.values())


def _least(digits: int) -> int:
    return 10 ** (digits - 1) if digits > 1 else 0


@dataclass(frozen=True)
class Arithmetic:
    """The family; see the module's docstring for questions, spaces, reward, p0 and dials."""

    operators: tuple[str, ...] = ("*",)
    digits: tuple[int, ...] = (1, 2, 3)
    verifier: str = "exact"
    salt: int = 0
    name: str = "arithmetic"
    version: str = "0"
    mechanism: str = "computation"

    def __post_init__(self) -> None:
        object.__setattr__(self, "operators", tuple(self.operators))
        for operator in self.operators:
            if operator not in OPERATORS:
                raise UnknownName("operator", operator, OPERATORS)
        if not self.operators:
            raise BadValue("operators", self.operators, f"at least one of {', '.join(OPERATORS)}")
        object.__setattr__(self, "digits", several("digits", self.digits, 8, "whole numbers from 1 to 8"))
        check_common(self)

    @property
    def budget(self) -> Budget:
        digits = max(self.digits)
        return Budget(turns=2, calls=1, tokens=32 + 4 * digits, observation_tokens=8 + 2 * digits)

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [_calculator()]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        if observations:
            return observations[-1]
        a, operator, b = self._numbers(task)
        return Hermes().render("calculator", {"expression": f"{a} {operator} {b}"})

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        ((name, digits),) = task.difficulty
        a, b = rng.integers(_least(digits), 10**digits, size=2).tolist()
        return str(result(a, _SIGNS[name], b))

    def p0_bound(self, task: Task) -> float | None:
        return None

    def optimum(self, task: Task) -> float:
        return 1.0

    def _numbers(self, task: Task) -> tuple[int, str, int]:
        ((name, digits),) = task.difficulty
        return drawn(self.salt, task.split, task.seed, donor_of(task), name, digits)

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        # Strata take turns.
        operator = self.operators[checked_seed(seed) % len(self.operators)]
        digits = self.digits[seed // len(self.operators) % len(self.digits)]
        a, _, b = drawn(self.salt, split, seed, donor, OPERATORS[operator], digits)
        asked, answer = f"{a} {operator} {b}", str(result(a, operator, b))
        return pose(
            self.name, split, seed, donor, question(asked), [answer], VERIFIERS[self.verifier],
            f"{asked} = {answer}.", **{OPERATORS[operator]: digits},
        )  # fmt: skip


@lru_cache(maxsize=65536)
def drawn(salt: int, split: Split, seed: int, donor: int, name: str, digits: int) -> tuple[int, str, int]:
    """The two numbers of a question and the operator of that name."""
    rng = generator(salt, "arithmetic", split, seed, donor, name, digits)
    return number(rng, parity(split), digits), _SIGNS[name], int(rng.integers(_least(digits), 10**digits))


@lru_cache(maxsize=1)
def _calculator() -> BaseTool:
    return calculator_tool()
