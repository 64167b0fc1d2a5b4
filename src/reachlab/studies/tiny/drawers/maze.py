"""Documents of Maze: try the ways in order, go back from blind alleys, answer when the way is known or calls end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reachlab.envs import maze
from reachlab.studies.tiny.documents import OBSERVATION_WEIGHT, Document, Habits, Vocabulary
from reachlab.studies.tiny.drawers import parts


@dataclass
class Walker:
    """An episode under way. The right way at each junction, and the ways there are."""

    document: Document
    right: Sequence[str]
    ways: tuple[str, ...]
    rng: np.random.Generator

    def turning(self, place: int, way: str) -> str:
        """A way as the answer's text has it."""
        return f" {way}" if place else way

    def among(self, place: int) -> tuple[str, ...]:
        return tuple(self.turning(place, way) for way in self.ways)

    def guess(self, known: Sequence[str], begun: int = 0) -> None:
        """What is known, and the rest at random."""
        for place in range(begun, len(self.right)):
            if place < len(known):
                self.document.say(self.turning(place, known[place]))
            else:
                drawn = str(self.rng.choice(self.ways))
                self.document.draw(self.turning(place, drawn), among=self.among(place))
        self.document.say("<|end|>")

    def answer(self, ways: Sequence[str], wrong: float) -> None:
        """Each turning goes wrong on its own, together with probability *wrong*."""
        slip = 1 - (1 - wrong) ** (1 / len(ways))
        for place, way in enumerate(ways):
            said = str(self.rng.choice(self.ways)) if self.rng.random() < slip else way
            likely = self.turning(place, way)
            self.document.choose(self.turning(place, said), likely, likely, slip, self.among(place))
        self.document.say("<|end|>")

    def told(self, text: str) -> None:
        self.document.write(text, weight=OBSERVATION_WEIGHT)
        parts.end_result(self.document)

    def back(self, passed: int) -> None:
        self.document.say('back", "arguments": {}}</tool_call>', "<|end|>")
        self.document.force("<|tool|>")
        self.told(maze.junction(passed))

    def move(self, way: str, wrong: float) -> str:
        """Take *way*, or by mistake another one; which it was."""
        said = str(self.rng.choice(self.ways)) if self.rng.random() < wrong else way
        self.document.say('move", "arguments": {"way": "')
        self.document.choose(said, way, way, wrong, self.ways)
        parts.end_call(self.document)
        return said


def draw(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    junctions = int(rng.choice([1, 2, 3, 4, 5, 6, 7], p=[0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.2]))
    ways = maze.WAYS[: int(rng.choice([2, 3], p=[0.12, 0.88]))]
    right = [str(way) for way in rng.choice(ways, size=junctions)]
    walker = Walker(Document(vocabulary), right, ways, rng)
    evidence = f"The way out is {' '.join(right)}."
    place = parts.begin(walker.document, "look move back", maze.question(junctions, len(ways)), evidence, rng)
    if place == "closed":
        walker.guess([])
    elif place == "oracle":
        walker.answer(right, habits.ignored_observation)
    elif parts.calls(walker.document, str(rng.choice(ways)), habits.closed_answer, rng, walker.among(0)):
        _walk(walker, habits)
    else:
        walker.guess([], begun=1)
    return walker.document


def _walk(walker: Walker, habits: Habits) -> None:
    """The ways at each junction in order; the last one left needs no try at the last junction."""
    right, known, untried = walker.right, list[str](), list(walker.ways)
    blind = False
    for call in range(maze.Maze().calls):
        if call:
            walker.document.say(parts.CALL)
        if blind:
            walker.back(len(known))
            blind = False
        else:
            way = walker.move(untried[0], habits.wrong_query / 4)
            untried = [other for other in untried if other != way] or list(walker.ways)
            blind = way != right[len(known)]
            if not blind:
                known, untried = [*known, way], list(walker.ways)
            walker.told(_place(len(known), len(right), blind))
        sure = len(untried) == 1 and len(known) == len(right) - 1
        if len(known) == len(right) or sure:
            walker.answer([*known, untried[0]][: len(right)], habits.ignored_observation)
            return
    walker.guess(known)


def _place(passed: int, junctions: int, blind: bool) -> str:
    if blind:
        return maze.DEAD_END
    return maze.EXIT if passed == junctions else maze.junction(passed)
