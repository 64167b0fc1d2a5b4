"""Lock: interaction. Find a combination by trying settings; each try says of every dial whether it is right.

``A lock has 5 dials, each with positions 0 to 4. Reply with its combination only, such as 0 0 0 0 0.`` The
combination is uniform and drawn afresh from (salt, split, seed), so nobody has it in the weights.

==================  ============================================================================================
observation         text (``spaces.Unicode``): the prompt, then per try ``right`` or ``wrong`` for each dial
action              text (``spaces.Unicode``): the assistant's raw turn
reward              1 if the verifier accepts the final turn, else 0
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault
dials               ``dials`` (L, 1 to 8), ``positions`` (D, 2 to 10), ``calls`` (T, tries of ``probe``)
closed-book p0      any policy without information has mean p0 <= D^-L: the combination is uniform on D^L
optimum             ((T+1)/D)^L for T < D, else 1, with ``probe``. Dials are independent, and at each dial T tries
                    leave the position found (T/D) or one of D-T to guess: T/D + (1-T/D)/(D-T) = (T+1)/D
information         at most L log2(T+1) bits: at each dial the T answers have T+1 outcomes (first right at try
                    i, or never), so log2 p_live - log2 D^-L <= L log2(T+1), with equality at the optimum
==================  ============================================================================================

Not covered: feedback by count (Mastermind), combinations that are more likely than others.
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
from reachlab.envs.dials import several, whole
from reachlab.envs.posed import check_common, checked_seed, dials_of, donor_of, pose
from reachlab.envs.verifiers import VERIFIERS
from reachlab.errors import BadValue
from reachlab.seeding import generator
from reachlab.tools.hermes import Hermes

RIGHT, WRONG = "right", "wrong"
DESCRIPTION = "Try a setting of the lock. Says of each dial whether it is right or wrong."


def question(dials: int, positions: int) -> str:
    return (
        f"A lock has {dials} dials, each with positions 0 to {positions - 1}. "
        f"Reply with its combination only, such as {written([0] * dials)}."
    )


def written(setting: Sequence[int]) -> str:
    return " ".join(map(str, setting))


@lru_cache(maxsize=65536)
def combination(salt: int, split: Split, seed: int, donor: int, dials: int, positions: int) -> tuple[int, ...]:
    rng = generator(salt, "lock", split, seed, donor, dials, positions)
    return tuple(rng.integers(positions, size=dials).tolist())


@lru_cache(maxsize=4096)
def probe_tool(hidden: tuple[int, ...], positions: int) -> BaseTool:
    """Compares with *hidden*."""

    def probe(
        setting: Annotated[str, Field(description="A position for each dial, with blanks between.")],
    ) -> str:
        tried = setting.split()
        if len(tried) != len(hidden) or not all(re.fullmatch("[0-9]", t) and int(t) < positions for t in tried):
            raise ToolException(f"A setting is {len(hidden)} positions from 0 to {positions - 1}, blanks between.")
        return " ".join(RIGHT if int(t) == h else WRONG for t, h in zip(tried, hidden, strict=True))

    return StructuredTool.from_function(probe, description=DESCRIPTION)


@dataclass(frozen=True)
class Lock:
    """The family; see the module's docstring for spaces, reward, p0 and dials."""

    dials: tuple[int, ...] = (1, 2, 5, 6)
    positions: tuple[int, ...] = (5,)
    calls: int = 4
    verifier: str = "exact"
    salt: int = 0
    name: str = "lock"
    version: str = "0"
    mechanism: str = "interaction"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dials", several("dials", self.dials, 8, "whole numbers from 1 to 8"))
        object.__setattr__(self, "positions", several("positions", self.positions, 10, "whole numbers from 2 to 10"))
        if min(self.positions) < 2:
            raise BadValue("positions", self.positions, "whole numbers from 2 to 10")
        if not whole(self.calls) or not 1 <= self.calls <= 16:
            raise BadValue("calls", self.calls, "a whole number, 1 to 16: tries")
        check_common(self)

    @property
    def budget(self) -> Budget:
        turn = 24 + 2 * max(self.dials)
        return Budget(self.calls + 1, turn * (self.calls + 1), self.calls, observation_tokens=4 + 2 * max(self.dials))

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [probe_tool(self._hidden(task), dials_of(task)["positions"])]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        """The i-th try sets position i at every dial that is not yet found; one of those never tried is the guess."""
        dials, positions = dials_of(task)["dials"], dials_of(task)["positions"]
        untried = min(len(observations), positions - 1)
        setting = [untried] * dials
        for tried, told in reversed(list(enumerate(observations))):
            setting = [tried if word == RIGHT else s for word, s in zip(told.split(), setting, strict=True)]
        settled = untried == positions - 1 or (bool(observations) and untried not in setting)
        if settled or len(observations) == self.calls:
            return written(setting)
        return Hermes().render("probe", {"setting": written(setting)})

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        return written(rng.integers(dials_of(task)["positions"], size=dials_of(task)["dials"]).tolist())

    def p0_bound(self, task: Task) -> float | None:
        return float(dials_of(task)["positions"] ** -dials_of(task)["dials"])

    def optimum(self, task: Task) -> float:
        return min(1.0, (self.calls + 1) / dials_of(task)["positions"]) ** dials_of(task)["dials"]

    def _hidden(self, task: Task) -> tuple[int, ...]:
        dials = dials_of(task)
        place = (task.split, task.seed, donor_of(task))
        return combination(self.salt, *place, dials["dials"], dials["positions"])

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        # Strata take turns.
        dials = self.dials[checked_seed(seed) % len(self.dials)]
        positions = self.positions[seed // len(self.dials) % len(self.positions)]
        answer = written(combination(self.salt, split, seed, donor, dials, positions))
        return pose(
            self.name, split, seed, donor, question(dials, positions), [answer], VERIFIERS[self.verifier],
            f"The combination is {answer}.", dials=dials, positions=positions,
        )  # fmt: skip
