"""Program: computation by writing code. The question says everything; to answer it one has to run a program.

==========  =========================================================================  ==========================
kind        question                                                                   answer, ``length`` long
==========  =========================================================================  ==========================
iterate     Start with 53. 12 times, multiply by 37 and add 11. What are the last 4    decimal digits
            digits of the result? Reply with 4 digits only.
digest      What are the last 4 digits of the SHA-256 of miro, as a decimal number?    decimal digits
            Reply with 4 digits only.
reverse     Write mirova backwards. Reply with 6 letters only.                         letters
sort        Sort the numbers 53, 12 and 88 and write them one after the other. Reply   decimal digits
            with the first 4 digits only.
==========  =========================================================================  ==========================

==================  ============================================================================================
observation         text (``spaces.Unicode``): the prompt, then what the program printed
action              text (``spaces.Unicode``): the assistant's raw turn
reward              1 if the verifier accepts the final turn, else 0
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault (a sandbox that breaks)
dials               ``kinds``, ``lengths`` (of the answer: 2, 4, 6), ``calls`` (of the tool, 1 to 8), ``sandbox``
closed-book p0      no policy-free bound: nothing is hidden, so a policy that computes answers without the tool. A
                    given model's p0 is enumerated exactly. The guesser, who knows the format alone, has
                    10^-length at digits and 90^-(length/2) at letters (words are syllables, 18 consonants x 5 vowels)
optimum             1 with ``python``, for a budget of one call and two turns
==================  ============================================================================================

Splits share no question: the first number of a training task is even, of a test task odd; the first syllable of a
training word is from the first half of ``SYLLABLES``, of a test word from the second.
Not covered: programs that do not fit a template, input from files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from langchain_core.tools import BaseTool

from reachlab import Budget, Split, Task
from reachlab.envs.dials import several, whole
from reachlab.envs.lexicon import SYLLABLES
from reachlab.envs.posed import check_common, checked_seed, donor_of, pose
from reachlab.envs.verifiers import VERIFIERS
from reachlab.envs.words import number, parity, word
from reachlab.errors import BadValue, UnknownName
from reachlab.registry import resolve
from reachlab.seeding import generator
from reachlab.tools.code import python_tool
from reachlab.tools.hermes import Hermes

LENGTHS = (2, 4, 6)
UNITS = tuple(n for n in range(11, 100) if n % 2 and n % 5)
"""Factors that keep apart what starts apart, however many digits are looked at."""
Values = dict[str, int | str]


@dataclass(frozen=True)
class Kind:
    """One kind of question: how it reads, the program that answers it, and the answer computed without one."""

    question: str
    """A format string over the values and ``length``."""
    program: str
    """The same; printing the answer."""
    draw: Callable[[np.random.Generator, int, int], Values]
    """Values from a generator, the split's parity (0: training) and the answer's length."""
    answer: Callable[[Values], str]


def _iterate(rng: np.random.Generator, parity: int, length: int) -> Values:
    times, addend = rng.integers(10, 100, size=2).tolist()
    factor = int(rng.choice(UNITS))
    return {"start": number(rng, parity, 2), "times": times, "factor": factor, "addend": addend, "length": length}


def _iterated(values: Values) -> str:
    start, times, factor, addend, length = (int(v) for v in values.values())
    x = start
    for _ in range(times):
        x = x * factor + addend
    return str(x)[-length:]


def _digest(rng: np.random.Generator, parity: int, length: int) -> Values:
    return {"word": word(rng, parity, 2), "length": length}


def _digested(values: Values) -> str:
    digest = hashlib.sha256(str(values["word"]).encode()).digest()
    return str(int.from_bytes(digest))[-int(values["length"]) :]


def _reverse(rng: np.random.Generator, parity: int, length: int) -> Values:
    return {"word": word(rng, parity, length // 2), "length": length}


def _sort(rng: np.random.Generator, parity: int, length: int) -> Values:
    b, c = rng.integers(10, 100, size=2).tolist()
    return {"a": number(rng, parity, 2), "b": b, "c": c, "length": length}


def _sorted(values: Values) -> str:
    return "".join(map(str, sorted(int(values[n]) for n in "abc")))[: int(values["length"])]


KINDS = {
    "iterate": Kind(
        "Start with {start}. {times} times, multiply by {factor} and add {addend}. "
        "What are the last {length} digits of the result? Reply with {length} digits only.",
        "x = {start}\nfor _ in range({times}): x = x * {factor} + {addend}\nprint(str(x)[-{length}:])",
        _iterate,
        _iterated,
    ),
    "digest": Kind(
        "What are the last {length} digits of the SHA-256 of {word}, as a decimal number? "
        "Reply with {length} digits only.",
        "import hashlib\nprint(str(int(hashlib.sha256(b'{word}').hexdigest(), 16))[-{length}:])",
        _digest,
        _digested,
    ),
    "reverse": Kind(
        "Write {word} backwards. Reply with {length} letters only.",
        "print('{word}'[::-1])",
        _reverse,
        lambda values: str(values["word"])[::-1],
    ),
    "sort": Kind(
        "Sort the numbers {a}, {b} and {c} and write them one after the other. "
        "Reply with the first {length} digits only.",
        "print(''.join(map(str, sorted([{a}, {b}, {c}])))[:{length}])",
        _sort,
        _sorted,
    ),
}


@dataclass(frozen=True)
class Problem:
    """One question, the program that answers it, and the answer."""

    question: str
    program: str
    answer: str


@lru_cache(maxsize=65536)
def problem(salt: int, kind: str, length: int, split: Split, seed: int, donor: int) -> Problem:
    """What (salt, kind, length, split, seed) fix; ``donor`` > 0 draws the values anew."""
    rng = generator(salt, "program", kind, length, split, seed, donor)
    of = KINDS[kind]
    values = of.draw(rng, parity(split), length)
    return Problem(of.question.format(**values), of.program.format(**values), of.answer(values))


@dataclass(frozen=True)
class Program:
    """The family; see the module's docstring for questions, spaces, reward, p0 and dials."""

    kinds: tuple[str, ...] = tuple(KINDS)
    lengths: tuple[int, ...] = LENGTHS
    calls: int = 1
    sandbox: str = "jail"
    """A name of the registry: what runs the programs."""
    verifier: str = "exact"
    salt: int = 0
    name: str = "program"
    version: str = "0"
    mechanism: str = "computation by code"

    def __post_init__(self) -> None:
        kinds = (self.kinds,) if isinstance(self.kinds, str) else tuple(self.kinds)
        object.__setattr__(self, "kinds", kinds)
        for kind in kinds:
            if kind not in KINDS:
                raise UnknownName("kind", kind, KINDS)
        if not kinds:
            raise BadValue("kinds", kinds, f"at least one of {', '.join(KINDS)}")
        lengths = several("lengths", self.lengths, 6, "2, 4 or 6: characters of the answer")
        if not set(lengths) <= set(LENGTHS):
            raise BadValue("lengths", self.lengths, "2, 4 or 6: characters of the answer")
        object.__setattr__(self, "lengths", lengths)
        if not whole(self.calls) or not 1 <= self.calls <= 8:
            raise BadValue("calls", self.calls, "a whole number, 1 to 8")
        check_common(self)
        resolve("sandboxes", self.sandbox)

    @property
    def budget(self) -> Budget:
        return Budget(turns=self.calls + 1, calls=self.calls, tokens=32 + 96 * self.calls, observation_tokens=32)

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        return [_python(self.sandbox)]

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        if observations:
            return observations[-1]
        return Hermes().render("python", {"code": self._problem(task).program})

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        ((kind, length),) = task.difficulty
        if kind == "reverse":
            return "".join(str(s) for s in rng.choice(SYLLABLES, size=length // 2))[::-1]
        return "".join(map(str, rng.integers(10, size=length)))

    def p0_bound(self, task: Task) -> float | None:
        return None

    def optimum(self, task: Task) -> float:
        return 1.0

    def _problem(self, task: Task) -> Problem:
        ((kind, length),) = task.difficulty
        return problem(self.salt, kind, length, task.split, task.seed, donor_of(task))

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        # Strata take turns.
        kind = self.kinds[checked_seed(seed) % len(self.kinds)]
        length = self.lengths[seed // len(self.kinds) % len(self.lengths)]
        posed = problem(self.salt, kind, length, split, seed, donor)
        return pose(
            "program", split, seed, donor, posed.question, [posed.answer], VERIFIERS[self.verifier],
            f"The program prints {posed.answer}.", **{kind: length},
        )  # fmt: skip


@lru_cache(maxsize=8)
def _python(sandbox: str) -> BaseTool:
    return python_tool(sandbox)
