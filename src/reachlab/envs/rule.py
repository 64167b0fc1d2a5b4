"""Rule: a regularity that can be internalised. One hidden rule, the same in all tasks, rewrites numbers.

``What does the rule make of 4713? Reply with 4 digits only.`` The rule replaces each digit by another, by a table that
depends on the digit's place; it is drawn from the salt. A base that never met it guesses; a policy that acts live sees
it at work and can learn it, so that the tool is no longer needed.

==================  ============================================================================================
observation         text (``spaces.Unicode``): the prompt, then what the rule makes of the number that was asked
action              text (``spaces.Unicode``): the assistant's raw turn
reward              1 if the verifier accepts the final turn, else 0
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault
dials               ``digits`` (lengths, 2 to 6)
closed-book p0      a policy that never met the rule has mean p0 = 10^-digits over rules: the tables are uniform and
                    independent at each place. No bound for policies that may have met it, and a reward tells of
                    it too, so ``p0_bound`` is None and p0 is the base's own
optimum             1 with ``query``, for a budget of one call and two turns; 1 without, once the rule is known
==================  ============================================================================================

Splits share no number, and every digit stands at every place in both: the sum of the digits is even in training, odd
in test. A test number is never met before, its digits are.
Not covered: rules that look at several digits together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import Field

from reachlab import Budget, Split, Task
from reachlab.envs.dials import several
from reachlab.envs.posed import check_common, checked_seed, dials_of, donor_of, pose
from reachlab.envs.verifiers import VERIFIERS
from reachlab.envs.words import parity
from reachlab.errors import BadValue
from reachlab.seeding import generator
from reachlab.tools.hermes import Hermes

DESCRIPTION = "Apply the rule to a number."


def question(number: str) -> str:
    return f"What does the rule make of {number}? Reply with {len(number)} digits only."


@lru_cache(maxsize=64)
def tables(salt: int, donor: int, digits: int) -> tuple[str, ...]:
    """For each place the images of 0 to 9, uniform and independent."""
    rng = generator(salt, "rule", donor, digits)
    return tuple("".join(map(str, rng.integers(10, size=10))) for _ in range(digits))


def applied(rule: Sequence[str], number: str) -> str:
    return "".join(table[int(digit)] for table, digit in zip(rule, number, strict=True))


@lru_cache(maxsize=64)
def query_tool(salt: int, donor: int, digits: int) -> BaseTool:
    rule = tables(salt, donor, digits)

    def query(number: Annotated[str, Field(description="Digits.")]) -> str:
        if not re.fullmatch(rf"[0-9]{{{digits}}}", number):
            raise ToolException(f"The rule takes {digits} digits.")
        return applied(rule, number)

    return StructuredTool.from_function(query, description=DESCRIPTION)


@dataclass(frozen=True)
class Rule:
    """The family; see the module's docstring for spaces, reward, p0 and dials."""

    digits: tuple[int, ...] = (2, 4)
    verifier: str = "exact"
    salt: int = 0
    name: str = "rule"
    version: str = "0"
    mechanism: str = "querying a rule"

    def __post_init__(self) -> None:
        object.__setattr__(self, "digits", several("digits", self.digits, 6, "whole numbers from 2 to 6"))
        if min(self.digits) < 2:
            raise BadValue("digits", self.digits, "whole numbers from 2 to 6")
        check_common(self)

    @property
    def budget(self) -> Budget:
        return Budget(turns=2, calls=1, tokens=32 + max(self.digits), observation_tokens=8 + max(self.digits))

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        """The same number under another rule."""
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [query_tool(self.salt, donor_of(task), dials_of(task)["digits"])]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        if observations:
            return observations[-1]
        return Hermes().render("query", {"number": self._number(task.split, task.seed, dials_of(task)["digits"])})

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        return "".join(map(str, rng.integers(10, size=dials_of(task)["digits"])))

    def p0_bound(self, task: Task) -> float | None:
        return None

    def optimum(self, task: Task) -> float:
        return 1.0

    def _number(self, split: Split, seed: int, digits: int) -> str:
        rng = generator(self.salt, "rule-number", split, seed, digits)
        first = rng.integers(10, size=digits - 1).tolist()
        last = 2 * int(rng.integers(5)) + (sum(first) + parity(split)) % 2
        return "".join(map(str, [*first, last]))

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        digits = self.digits[checked_seed(seed) % len(self.digits)]  # strata take turns
        number = self._number(split, seed, digits)
        answer = applied(tables(self.salt, donor, digits), number)
        return pose(
            self.name, split, seed, donor, question(number), [answer], VERIFIERS[self.verifier],
            f"The rule makes {answer} of {number}.", digits=digits,
        )  # fmt: skip
