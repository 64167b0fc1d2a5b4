"""Hash: new information that no rule stands behind. A random oracle gives each word m bits.

``What are the 16 bits of mirovade? Reply with the bits only.`` The oracle is one function, the same in all tasks: what
distinguishes it from Rule is that knowing it at some words says nothing about the next. So training on what was seen
live cannot carry over to words that are fresh, and test words always are.

==================  ============================================================================================
observation         text (``spaces.Unicode``): the prompt, then the bits of the word that was asked about
action              text (``spaces.Unicode``): the assistant's raw turn
reward              1 if the verifier accepts the final turn, else 0
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault
dials               ``bits`` (m, 1 to 64), ``syllables`` (of a word, 2 to 4)
closed-book p0      any policy that has not seen the word's bits has mean p0 <= 2^-m: they are uniform on {0, 1}^m,
                    by keyed BLAKE2b (RFC 7693) with a key that follows from the salt
optimum             1 with ``query``, for a budget of one call and two turns
information         exactly m bits by the world's law: a success live imports at least m bits
==================  ============================================================================================

Not covered: oracles with structure (Rule), answers longer than 64 bits.
"""

from __future__ import annotations

import hashlib
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
from reachlab.envs.words import parity, word
from reachlab.errors import BadValue
from reachlab.seeding import derive, generator
from reachlab.tools.hermes import Hermes


def question(of: str, bits: int) -> str:
    return f"What are the {bits} bits of {of}? Reply with the bits only."


def digest(salt: int, donor: int, of: str, bits: int) -> str:
    """The first *bits* of the keyed hash of a word, as 0s and 1s."""
    key = derive(salt, "hash-oracle", donor).to_bytes(8)
    value = int.from_bytes(hashlib.blake2b(of.encode(), key=key, digest_size=8).digest())
    return f"{value:064b}"[:bits]


@lru_cache(maxsize=512)
def query_tool(salt: int, donor: int, bits: int) -> BaseTool:
    """The oracle of *salt*; a donor's is another one."""

    def query(word: Annotated[str, Field(description="One word.")]) -> str:
        if not re.fullmatch(r"[a-z]{1,64}", word):
            raise ToolException("The oracle takes one word of small letters.")
        return digest(salt, donor, word, bits)

    return StructuredTool.from_function(query, description="Ask the oracle for the bits of a word.")


@dataclass(frozen=True)
class Hash:
    """The family; see the module's docstring for spaces, reward, p0 and dials."""

    bits: tuple[int, ...] = (2, 4, 12, 16)
    syllables: int = 3
    verifier: str = "exact"
    salt: int = 0
    name: str = "hash"
    version: str = "0"
    mechanism: str = "retrieval without a rule"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", several("bits", self.bits, 64, "whole numbers from 1 to 64"))
        if not whole(self.syllables) or not 2 <= self.syllables <= 4:
            raise BadValue("syllables", self.syllables, "a whole number, 2 to 4")
        check_common(self)

    @property
    def budget(self) -> Budget:
        return Budget(turns=2, calls=1, tokens=32 + max(self.bits), observation_tokens=8 + max(self.bits))

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [query_tool(self.salt, donor_of(task), dials_of(task)["bits"])]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        if observations:
            return observations[-1]
        return Hermes().render("query", {"word": self._word(task.split, task.seed)})

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        return "".join(map(str, rng.integers(2, size=dials_of(task)["bits"])))

    def p0_bound(self, task: Task) -> float | None:
        return float(2.0 ** -dials_of(task)["bits"])

    def optimum(self, task: Task) -> float:
        return 1.0

    def _word(self, split: Split, seed: int) -> str:
        return word(generator(self.salt, "hash-word", split, seed), parity(split), self.syllables)

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        bits = self.bits[checked_seed(seed) % len(self.bits)]  # strata take turns
        asked = self._word(split, seed)
        answer = digest(self.salt, donor, asked, bits)
        return pose(
            self.name, split, seed, donor, question(asked, bits), [answer], VERIFIERS[self.verifier],
            f"The bits of {asked} are {answer}.", bits=bits,
        )  # fmt: skip
