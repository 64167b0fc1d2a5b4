"""Composition: new information, then computation. Look two codes up, then add them.

``What is miro's code plus tavo's code? Lengths: 4. Reply with the number only.`` Lexicon's corpus and Arithmetic's
calculator in one task, so that success on the whole can be held against the product of its parts (arXiv 2602.08281),
and what was learned on the parts has somewhere to go.

==================  ============================================================================================
observation         text (``spaces.Unicode``): the prompt, then tool results
action              text (``spaces.Unicode``): the assistant's raw turn
reward              1 if the verifier accepts the final turn, else 0
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault
dials               ``digits`` (code lengths, 1 to 6), ``entities`` (names of each code length)
closed-book p0      any policy without information has mean p0 <= 1 / (9 10^(digits-1)): codes are uniform on that
                    many numbers and independent, and no sum of two such is likelier than the middle one
optimum             1 with ``search`` and ``calculator``, for a budget of three calls and four turns
==================  ============================================================================================

Codes do not begin with 0, so that they are numbers. The shuffled world's corpus is the donor's, and its calculator
gives the donor's sum. Not covered: chains of friends (Lexicon's ``hops``), operators but +.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from langchain_core.tools import BaseTool

from reachlab import Budget, Split, Task
from reachlab.envs.dials import several, whole
from reachlab.envs.lexicon import DESCRIPTION, NAMES, WORD, code_fact, query, told
from reachlab.envs.posed import check_common, checked_seed, dials_of, donor_of, pose
from reachlab.envs.verifiers import VERIFIERS
from reachlab.errors import BadValue
from reachlab.seeding import generator
from reachlab.tools.calculator import calculator_tool
from reachlab.tools.hermes import Hermes
from reachlab.tools.search import Bm25, search_tool


def question(first: str, second: str, digits: int) -> str:
    return f"What is {first}'s code plus {second}'s code? Lengths: {digits}. Reply with the number only."


@dataclass(frozen=True)
class Ledger:
    """The codes of one corpus by name, and the tools over it."""

    codes: dict[str, int]
    tools: tuple[BaseTool, ...] = field(compare=False)


@lru_cache(maxsize=64)
def open_ledger(salt: int, split: Split, volume: int, donor: int, digits: tuple[int, ...], entities: int) -> Ledger:
    """The corpus of one volume. ``donor`` > 0 keeps the names and redraws every code."""
    half = len(NAMES) // 2
    shelf = NAMES[:half] if split == "train" else NAMES[half:]
    names = generator(salt, "composition-names", split, volume).choice(
        shelf, size=entities * len(digits), replace=False
    )
    rng = generator(salt, "composition-facts", split, volume, donor)
    codes: dict[str, int] = {}
    for block, length in zip(names.reshape(len(digits), entities).tolist(), digits, strict=True):
        drawn = rng.integers(10 ** (length - 1), 10**length, size=entities).tolist()
        codes |= dict(zip(block, drawn, strict=True))
    facts = [code_fact(name, str(code)) for name, code in codes.items()]
    order = generator(salt, "composition-order", split, volume).permutation(len(facts))
    index = Bm25([facts[i] for i in order], word=WORD)
    return Ledger(codes, (search_tool(index, k=1, description=DESCRIPTION), calculator_tool()))


@dataclass(frozen=True)
class Composition:
    """The family; see the module's docstring for questions, spaces, reward, p0 and dials."""

    digits: tuple[int, ...] = (1, 2, 5)
    entities: int = 64
    verifier: str = "exact"
    salt: int = 0
    name: str = "composition"
    version: str = "0"
    mechanism: str = "retrieval, then computation"

    def __post_init__(self) -> None:
        object.__setattr__(self, "digits", several("digits", self.digits, 6, "code lengths from 1 to 6"))
        most = len(NAMES) // 2 // len(self.digits)
        if not whole(self.entities) or not 4 <= self.entities <= most:
            raise BadValue("entities", self.entities, f"a whole number, 4 to {most}: names of each code length")
        check_common(self)

    @property
    def budget(self) -> Budget:
        return Budget(turns=4, calls=3, tokens=4 * 24, observation_tokens=24)

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return self._ledger(task.split, task.seed, donor_of(task)).tools

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        if len(observations) == 3:
            return observations[-1]
        if len(observations) == 2:
            return Hermes().render("calculator", {"expression": " + ".join(map(told, observations))})
        names = re.findall(r"(\w+)'s code", task.messages[-1].content)
        return Hermes().render("search", {"query": query("code", names[len(observations)])})

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        """The sum of two codes is likeliest in the middle of its range."""
        digits = dials_of(task)["digits"]
        return str(10 ** (digits - 1) + 10**digits - 1)

    def p0_bound(self, task: Task) -> float | None:
        return float(1 / (9 * 10 ** (dials_of(task)["digits"] - 1)))

    def optimum(self, task: Task) -> float:
        return 1.0

    def _ledger(self, split: Split, seed: int, donor: int) -> Ledger:
        volume = seed // (self.entities * len(self.digits))
        return open_ledger(self.salt, split, volume, donor, self.digits, self.entities)

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        # Strata take turns, and within a volume no two tasks of one code length start from the same name.
        turn = checked_seed(seed) % len(self.digits)
        place = seed // len(self.digits) % self.entities
        ledger, digits = self._ledger(split, seed, donor), self.digits[turn]
        block = list(ledger.codes)[turn * self.entities : (turn + 1) * self.entities]
        step = 1 + int(generator(self.salt, "composition-pair", split, seed).integers(self.entities - 1))
        pair = block[place], block[(place + step) % self.entities]
        codes = [ledger.codes[name] for name in pair]
        evidence = " ".join(code_fact(name, str(code)) for name, code in zip(pair, codes, strict=True))
        return pose(
            self.name, split, seed, donor, question(*pair, digits), [str(sum(codes))], VERIFIERS[self.verifier],
            evidence, digits=digits,
        )  # fmt: skip
