"""Maze: search by acting under partial observation. Walk until the exit is found, then say the way.

``A maze has 4 junctions on the way to its exit. At each, one of left, right, ahead leads on; the others end blindly.
Reply with the ways to the exit only, such as left left left left.`` A perfect maze whose blind alleys are one room
deep; which way leads on is uniform at each junction, drawn afresh from (salt, split, seed).

==================  ============================================================================================
observation         text (``spaces.Unicode``): the prompt, then the place: ``junction 2``, ``dead end``, ``exit``
action              text (``spaces.Unicode``): the assistant's raw turn
reward              1 if the verifier accepts the final turn, else 0
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault
dials               ``junctions`` (d, 1 to 8: the length of the shortest path), ``ways`` (w, 2 or 3), ``calls`` (T)
closed-book p0      any policy without information has mean p0 <= w^-d (blind success): ways are uniform and independent
optimum             by dynamic programming over (junctions left, ways untried here, calls left), ``explored``: a walk is
                    the only way to learn, so trying an untried way is best as long as calls are left, and what is
                    left unknown is guessed
==================  ============================================================================================

The place is kept for the episode and follows from its calls, so a snapshot is restored by walking again.
Not covered: cycles, deeper blind alleys, rooms that look alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import Field

from reachlab import Budget, Split, Task
from reachlab.envs.dials import several, whole
from reachlab.envs.posed import check_common, checked_seed, dials_of, donor_of, pose
from reachlab.envs.verifiers import VERIFIERS
from reachlab.errors import BadValue
from reachlab.seeding import generator
from reachlab.tools.episodic import PerEpisode
from reachlab.tools.hermes import Hermes

WAYS = ("left", "right", "ahead")
DEAD_END, EXIT = "dead end", "exit"


def junction(number: int) -> str:
    return f"junction {number + 1}"


def question(junctions: int, ways: int) -> str:
    return (
        f"A maze has {junctions} junctions on the way to its exit. At each, one of {', '.join(WAYS[:ways])} leads on; "
        f"the others end blindly. Reply with the ways to the exit only, such as {' '.join(['left'] * junctions)}."
    )


@lru_cache(maxsize=65536)
def way_out(salt: int, split: Split, seed: int, donor: int, junctions: int, ways: int) -> tuple[str, ...]:
    rng = generator(salt, "maze", split, seed, donor, junctions, ways)
    return tuple(WAYS[i] for i in rng.integers(ways, size=junctions))


@dataclass
class Walk:
    """Where an episode stands: how many junctions are behind it, and whether it is in a blind alley."""

    right: tuple[str, ...]
    ways: int
    passed: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        if self.passed and self.passed[-1] != self.right[len(self.passed) - 1]:
            return DEAD_END
        return EXIT if len(self.passed) == len(self.right) else junction(len(self.passed))

    def move(self, way: str) -> str:
        if self.place in (DEAD_END, EXIT):
            raise ToolException(f"This is the {self.place}: there is only the way back.")
        if way not in WAYS[: self.ways]:
            raise ToolException(f"The ways are {', '.join(WAYS[: self.ways])}.")
        self.passed.append(way)
        return self.place

    def back(self) -> str:
        if not self.passed:
            raise ToolException("This is the entrance.")
        self.passed.pop()
        return self.place


@lru_cache(maxsize=4096)
def maze_tools(right: tuple[str, ...], ways: int) -> tuple[BaseTool, ...]:
    """``look``, ``move`` and ``back``; one walk per episode."""
    entered = PerEpisode(lambda: Walk(right, ways), replays=True)
    allowed: Any = Literal[WAYS[:ways]]

    def look(walk: Annotated[Any, entered]) -> str:
        return str(walk.place)

    def move(way: Annotated[allowed, Field(description="Which way.")], walk: Annotated[Any, entered]) -> str:
        return str(walk.move(way))

    def back(walk: Annotated[Any, entered]) -> str:
        return str(walk.back())

    return (
        StructuredTool.from_function(look, description="Say where you are."),
        StructuredTool.from_function(move, description="Take a way; says where it leads."),
        StructuredTool.from_function(back, description="Go back one room."),
    )


@lru_cache(maxsize=65536)
def explored(junctions: int, untried: int, calls: int, ways: int) -> float:
    """Success of the best walk from a junction with *untried* ways, *junctions* left to decide and *calls* left.

    Trying a way finds the next junction with chance 1 / untried. Otherwise it costs another call to come back; where
    that is no longer possible, or no longer of use, the rest is guessed. One way left untried is known without trying.
    """
    if junctions == 0:
        return 1.0
    guessed = 1.0 / untried / float(ways) ** (junctions - 1)
    if calls == 0:
        return guessed
    found = explored(junctions - 1, ways, calls - 1, ways)
    if untried == 1:
        return found
    missed = 1.0 / (untried - 1) / float(ways) ** (junctions - 1)
    if calls >= 2:
        missed = max(missed, explored(junctions, untried - 1, calls - 2, ways))
    return max(guessed, found / untried + missed * (untried - 1) / untried)


@dataclass(frozen=True)
class Maze:
    """The family; see the module's docstring for spaces, reward, p0 and dials."""

    junctions: tuple[int, ...] = (1, 2, 7)
    ways: tuple[int, ...] = (3,)
    calls: int = 24
    verifier: str = "exact"
    salt: int = 0
    name: str = "maze"
    version: str = "0"
    mechanism: str = "search by acting"

    def __post_init__(self) -> None:
        object.__setattr__(self, "junctions", several("junctions", self.junctions, 8, "whole numbers from 1 to 8"))
        object.__setattr__(self, "ways", several("ways", self.ways, 3, "2 or 3"))
        if min(self.ways) < 2:
            raise BadValue("ways", self.ways, "2 or 3")
        if not whole(self.calls) or not 1 <= self.calls <= 64:
            raise BadValue("calls", self.calls, "a whole number, 1 to 64: steps")
        check_common(self)

    @property
    def budget(self) -> Budget:
        return Budget(self.calls + 1, 16 * (self.calls + 1) + max(self.junctions), self.calls, observation_tokens=8)

    def task(self, split: Split, seed: int) -> Task:
        return self._task(split, seed, donor=0)

    def donor(self, task: Task) -> Task:
        return self._task(task.split, task.seed, donor=1)

    def tools(self, task: Task) -> Sequence[BaseTool]:
        dials = dials_of(task)
        place = (task.split, task.seed, donor_of(task), dials["junctions"], dials["ways"])
        return maze_tools(way_out(self.salt, *place), dials["ways"])

    def solution(self, task: Task, observations: Sequence[str]) -> str:
        """Tries the ways in order; one that alone is left is known. What it cannot learn it guesses: the next in order.

        Its answer is known from what was observed, so the walk so far is walked again.
        """
        dials = dials_of(task)
        known, untried, dead = [], list(WAYS[: dials["ways"]]), False
        for told in observations:
            if dead:  # this was the step back
                dead = False
            elif told == DEAD_END:
                dead = True
                untried.pop(0)
            else:
                known.append(untried[0])
                untried = list(WAYS[: dials["ways"]])
        left = self.calls - len(observations)
        sure = len(untried) == 1 and len(known) == dials["junctions"] - 1
        if len(known) == dials["junctions"] or sure or left == 0 or (dead and left < 2):
            guess = [*known, untried[0], *["left"] * dials["junctions"]]
            return " ".join(guess[: dials["junctions"]])
        return Hermes().render("back", {}) if dead else Hermes().render("move", {"way": untried[0]})

    def guess(self, task: Task, rng: np.random.Generator) -> str:
        dials = dials_of(task)
        return " ".join(WAYS[i] for i in rng.integers(dials["ways"], size=dials["junctions"]))

    def progress(self, task: Task, observations: Sequence[str]) -> float:
        """``reachlab.Heuristic``: the share of the way walked, by the place said last; 1 at the exit. A blind alley is
        half a room short of the junction that it leaves."""
        rooms = dials_of(task)["junctions"] + 1
        junctions = {junction(n): n + 1.0 for n in range(rooms - 1)} | {EXIT: float(rooms)}
        at = 1.0
        for told in observations:
            at = float(int(at + 0.5)) - 0.5 if told == DEAD_END else junctions.get(told, at)
        return at / rooms

    def p0_bound(self, task: Task) -> float | None:
        dials = dials_of(task)
        return float(dials["ways"] ** -dials["junctions"])

    def optimum(self, task: Task) -> float:
        dials = dials_of(task)
        return explored(dials["junctions"], dials["ways"], self.calls, dials["ways"])

    def _task(self, split: Split, seed: int, donor: int) -> Task:
        # Strata take turns.
        junctions = self.junctions[checked_seed(seed) % len(self.junctions)]
        ways = self.ways[seed // len(self.junctions) % len(self.ways)]
        answer = " ".join(way_out(self.salt, split, seed, donor, junctions, ways))
        return pose(
            self.name, split, seed, donor, question(junctions, ways), [answer], VERIFIERS[self.verifier],
            f"The way out is {answer}.", junctions=junctions, ways=ways,
        )  # fmt: skip
