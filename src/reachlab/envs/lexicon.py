"""Lexicon: new information. Look up the code of a name, directly or through a chain of friends.

``What is miro's friend's code? Length: 4. Reply with the code only.`` The facts are drawn afresh from
(salt, split, seed), so no model can have them in its weights; the ``search`` tool ranks a corpus that states
each fact in one sentence, among the facts about every other name.

==================  ============================================================================================
observation         text (``spaces.Unicode``): the prompt, then tool results
action              text (``spaces.Unicode``): the assistant's raw turn
reward              1 if the verifier accepts the final turn, else 0
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault
dials               ``digits`` (code lengths, 1 to 6), ``hops`` (1 to 4), ``entities`` (names of each code length),
                    ``top_k`` (facts in one result, best first)
closed-book p0      any policy without information has mean p0 <= 10^-digits: the code is uniform on 10^digits
                    strings, independent of everything the policy sees. A given model's p0 is enumerated exactly.
optimum             1 with ``search``, for a budget of hops calls and hops + 1 turns
==================  ============================================================================================

Not covered: natural text around the facts, facts that conflict, answers that are not codes.
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
from reachlab.envs.posed import check_common, checked_seed, dials_of, donor_of, pose
from reachlab.envs.verifiers import VERIFIERS
from reachlab.errors import BadValue
from reachlab.seeding import generator
from reachlab.tools.hermes import Hermes
from reachlab.tools.search import Bm25, search_tool

CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"
SYLLABLES = tuple(c + v for c in CONSONANTS for v in VOWELS)
NAMES = tuple(a + b for a in SYLLABLES for b in SYLLABLES)
WORD = r"[\w']+"
"""miro's is a word of its own: it tells whose friend a fact is about."""
DESCRIPTION = "Search the lexicon. It knows one code and one friend for each name."


def question(name: str, hops: int, digits: int) -> str:
    friends = "'s friend" * (hops - 1)
    return f"What is {name}{friends}'s code? Length: {digits}. Reply with the code only."


def code_fact(name: str, code: str) -> str:
    return f"{name}'s code is {code}."


def friend_fact(name: str, friend: str) -> str:
    return f"{name}'s friend is {friend}."


def query(relation: str, name: str) -> str:
    return f"{name}'s {relation}"


@dataclass(frozen=True)
class Book:
    """The facts of one corpus: ``codes`` and ``friends`` by name; a friend has a code of the same length."""

    codes: dict[str, str]
    friends: dict[str, str]
    tool: BaseTool = field(compare=False)

    def chain(self, name: str, hops: int) -> list[str]:
        """The names on the way: *name*, its friend, ... ; the last one's code is the answer."""
        names = [name]
        for _ in range(hops - 1):
            names.append(self.friends[names[-1]])
        return names

    def facts(self, chain: Sequence[str]) -> list[str]:
        links = [friend_fact(a, b) for a, b in zip(chain, chain[1:], strict=False)]
        return [*links, code_fact(chain[-1], self.codes[chain[-1]])]


@lru_cache(maxsize=64)
def open_book(salt: int, split: Split, volume: int, donor: int, digits: tuple[int, ...], entities: int, k: int) -> Book:
    """The corpus of one volume. ``donor`` > 0 keeps the names and redraws every fact."""
    half = len(NAMES) // 2
    shelf = NAMES[:half] if split == "train" else NAMES[half:]
    names = generator(salt, "lexicon-names", split, volume).choice(shelf, size=entities * len(digits), replace=False)
    rng = generator(salt, "lexicon-facts", split, volume, donor)
    codes: dict[str, str] = {}
    friends: dict[str, str] = {}
    for block, length in zip(names.reshape(len(digits), entities).tolist(), digits, strict=True):
        cycle = rng.permutation(block).tolist()
        for name, friend in zip(cycle, cycle[1:] + cycle[:1], strict=True):
            codes[name] = "".join(map(str, rng.integers(10, size=length)))
            friends[name] = friend
    documents = [code_fact(n, c) for n, c in codes.items()] + [friend_fact(n, f) for n, f in friends.items()]
    order = generator(salt, "lexicon-order", split, volume).permutation(len(documents))
    index = Bm25([documents[i] for i in order], word=WORD)
    return Book(codes, friends, search_tool(index, k=k, description=DESCRIPTION))


@dataclass(frozen=True)
class Lexicon:
    """The family; see the module's docstring for spaces, reward, p0 and dials."""

    digits: tuple[int, ...] = (1, 2, 4, 5, 6)
    hops: tuple[int, ...] = (1,)
    entities: int = 64
    top_k: int = 1
    verifier: str = "exact"
    salt: int = 0
    name: str = "lexicon"
    version: str = "0"
    mechanism: str = "retrieval"

    def __post_init__(self) -> None:
        object.__setattr__(self, "digits", several("digits", self.digits, 6, "code lengths from 1 to 6"))
        object.__setattr__(self, "hops", several("hops", self.hops, 4, "whole numbers from 1 to 4"))
        most = len(NAMES) // 2 // len(self.digits)
        if not whole(self.entities) or not 4 <= self.entities <= most:
            raise BadValue("entities", self.entities, f"a whole number, 4 to {most}: names of each code length")
        if not whole(self.top_k) or self.top_k < 1:
            raise BadValue("top_k", self.top_k, "a whole number, >= 1: facts in one result")
        for name in ("entities", "top_k"):
            object.__setattr__(self, name, int(getattr(self, name)))
        check_common(self)

    @property
    def budget(self) -> Budget:
        hops = max(self.hops)
        return Budget(turns=hops + 1, calls=hops, tokens=16 * (hops + 1), observation_tokens=24 * self.top_k)

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [self._book(task.split, task.seed, donor_of(task)).tool]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        hops, name = dials_of(task)["hops"], _subject(task)
        if len(observations) == hops:
            return told(observations[-1])
        if observations:
            name = told(observations[-1])
        relation = "code" if len(observations) == hops - 1 else "friend"
        return Hermes().render("search", {"query": query(relation, name)})

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        return "".join(map(str, rng.integers(10, size=dials_of(task)["digits"])))

    def p0_bound(self, task: Task) -> float | None:
        return float(10.0 ** -dials_of(task)["digits"])

    def optimum(self, task: Task) -> float:
        return 1.0

    def _book(self, split: Split, seed: int, donor: int) -> Book:
        volume = seed // (self.entities * len(self.digits))
        return open_book(self.salt, split, volume, donor, self.digits, self.entities, self.top_k)

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        # Strata take turns, and within a volume no two tasks of one code length start from the same name.
        turn, place = checked_seed(seed) % len(self.digits), seed // len(self.digits) % self.entities
        digits = self.digits[turn]
        hops = self.hops[place % len(self.hops)]
        book = self._book(split, seed, donor)
        first = list(self._book(split, seed, 0).codes)[turn * self.entities + place]
        chain = book.chain(first, hops)
        return pose(
            "lexicon", split, seed, donor, question(first, hops, digits), [book.codes[chain[-1]]],
            VERIFIERS[self.verifier], " ".join(book.facts(chain)), digits=digits, hops=hops,
        )  # fmt: skip


def told(observation: str) -> str:
    """What the best hit, the first line of a result, says: its last word."""
    return observation.partition("\n")[0].split()[-1].rstrip(".")


def _subject(task: Task) -> str:
    match = re.match(r"What is (\w+)'s", task.messages[-1].content)
    assert match is not None  # the question is ours
    return match[1]


