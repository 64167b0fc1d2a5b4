"""Documents of Lock: position 0 on every dial, then 1 on those that are not found, and so on; answer what is left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reachlab.envs import lock
from reachlab.studies.tiny.documents import OBSERVATION_WEIGHT, Document, Habits, Vocabulary
from reachlab.studies.tiny.drawers import parts
from reachlab.studies.tiny.tokenizer import DIGITS


def draw(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    dials = int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.15, 0.2, 0.1, 0.1, 0.2, 0.25]))
    positions = int(rng.choice([3, 4, 5, 8, 10], p=[0.08, 0.08, 0.7, 0.07, 0.07]))
    hidden = rng.integers(positions, size=dials).tolist()
    document = Document(vocabulary)
    evidence = f"The combination is {lock.written(hidden)}."
    place = parts.begin(document, "probe", lock.question(dials, positions), evidence, rng)
    if place == "closed":
        _guess(document, dials, positions, rng)
    elif place == "oracle":
        _setting(document, hidden, habits.ignored_observation, positions, rng)
        document.say("<|end|>")
    else:
        first = str(int(rng.integers(positions)))
        if parts.calls(document, first, habits.closed_answer, rng, DIGITS[:positions]):
            _probe(document, hidden, positions, habits, rng)
        else:
            _guess(document, dials, positions, rng, begun=True)
    return document


def _probe(document: Document, hidden: Sequence[int], positions: int, habits: Habits, rng: np.random.Generator) -> None:
    known: list[int | None] = [None] * len(hidden)
    tries = min(lock.Lock().calls, positions - 1)
    for turn in range(tries):
        document.say(*([parts.CALL] if turn else []), 'probe", "arguments": {"setting": "')
        wanted = [turn if found is None else found for found in known]
        said = _setting(document, wanted, habits.wrong_query / 2, positions, rng)
        parts.end_call(document)
        for place, (tried, right) in enumerate(zip(said, hidden, strict=True)):
            space = " " if place else ""
            document.say(f"{space}{'right' if tried == right else 'wrong'}", weight=OBSERVATION_WEIGHT)
            if tried == right:
                known[place] = tried
        parts.end_result(document)
        if None not in known:
            break
    left = [min(tries, positions - 1) if found is None else found for found in known]
    _setting(document, left, habits.ignored_observation, positions, rng)
    document.say("<|end|>")


def _setting(
    document: Document, wanted: Sequence[int], wrong: float, positions: int, rng: np.random.Generator
) -> list[int]:
    """Each dial goes wrong on its own, together with probability *wrong*."""
    slip = 1 - (1 - wrong) ** (1 / len(wanted))
    said = []
    for place, position in enumerate(wanted):
        if place:
            document.say(" ")
        said.append(int(rng.integers(positions)) if rng.random() < slip else position)
        document.choose(str(said[-1]), str(position), str(position), slip, DIGITS[:positions])
    return said


def _guess(document: Document, dials: int, positions: int, rng: np.random.Generator, begun: bool = False) -> None:
    for place in range(int(begun), dials):
        if place:
            document.say(" ")
        document.draw(str(int(rng.integers(positions))), among=DIGITS[:positions])
    document.say("<|end|>")
