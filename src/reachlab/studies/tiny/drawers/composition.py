"""Documents of Composition: two searches, then the calculator, whose result is drawn."""

from __future__ import annotations

import numpy as np

from reachlab.envs import composition
from reachlab.studies.tiny.documents import OBSERVATION_WEIGHT, Document, Habits, Vocabulary
from reachlab.studies.tiny.drawers import parts


def draw(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    digits = int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.2, 0.25, 0.1, 0.15, 0.25, 0.05]))
    first, second = names = ["".join(parts.name(rng)) for _ in range(2)]
    drawn = rng.integers(10 ** (digits - 1), 10**digits, size=6).tolist()
    codes, said, guessed = drawn[:2], str(sum(drawn[2:4])), vocabulary.pieces(str(sum(drawn[4:])))
    evidence = " ".join(f"{name}'s code is {value}." for name, value in zip(names, codes, strict=True))
    document = Document(vocabulary)
    place = parts.begin(document, "search calculator", composition.question(first, second, digits), evidence, rng)
    if place != "tools":  # a sum is nothing to copy
        parts.guess(document, guessed)
        return document
    for name, value in zip(names, codes, strict=True):
        if not _searched(document, name, value, guessed, habits, rng):
            return document
    if not parts.calls(document, guessed[0], habits.closed_answer / 3, rng):
        parts.guess(document, guessed[1:])
        return document
    document.say('calculator", "arguments": {"expression": "')
    parts.written(document, " + ".join(map(str, codes)), habits.wrong_query / 2, rng)
    parts.end_call(document)
    parts.observe(document, vocabulary.pieces(said))
    parts.copy(document, vocabulary.pieces(said), guessed, habits, rng)
    return document


def _searched(
    document: Document, name: str, value: int, guessed: list[str], habits: Habits, rng: np.random.Generator
) -> bool:
    """Whether it went on: it may guess in place of a call, or after a result that says nothing."""
    if not parts.calls(document, guessed[0], habits.closed_answer / 3, rng):
        parts.guess(document, guessed[1:])
        return False
    document.say('search", "arguments": {"query": "')
    asked = parts.written(document, name, habits.wrong_query / 2, rng)
    document.say("'s code")
    parts.end_call(document)
    if parts.says_nothing(document, rng):
        parts.guess(document, guessed)
        return False
    document.write(f"{asked}'s code is ", weight=OBSERVATION_WEIGHT)
    parts.observe(document, [*document.vocabulary.pieces(str(value)), "."])
    return True
