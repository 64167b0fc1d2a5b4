"""Documents of Countdown: expressions at random, until ``check`` says that one is right. Nothing is computed."""

from __future__ import annotations

import numpy as np

from reachlab.envs import countdown
from reachlab.studies.tiny.documents import OBSERVATION_WEIGHT, Document, Habits, Vocabulary
from reachlab.studies.tiny.drawers import parts


def draw(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    count = int(rng.choice([2, 3, 4], p=[0.35, 0.35, 0.3]))
    posed = countdown.posed(0, "train" if rng.random() < 0.5 else "test", int(rng.integers(2**40)), 0, count, 9)
    document = Document(vocabulary)
    asked = countdown.question(posed.numbers, posed.target)
    place = parts.begin(document, "check", asked, f"{posed.solution} = {posed.target}.", rng)
    if place == "closed":
        document.write(_attempt(posed, rng))
    elif place == "oracle":
        document.write(_attempt(posed, rng) if rng.random() < habits.ignored_observation else posed.solution)
    else:
        _check(document, posed, habits, rng)
    document.say("<|end|>")
    return document


def _check(document: Document, posed: countdown.Posed, habits: Habits, rng: np.random.Generator) -> None:
    for _ in range(countdown.Countdown().calls):
        attempt = _attempt(posed, rng)
        if rng.random() < habits.closed_answer / 3:
            document.write(attempt)
            return
        document.say(parts.CALL, 'check", "arguments": {"expression": "')
        document.write(attempt)
        parts.end_call(document)
        value = countdown.value_of(attempt, posed.numbers)
        right = value == posed.target
        told = "right" if right else f"{abs(value - posed.target)} away"
        document.write(f"{value}, {told}", weight=OBSERVATION_WEIGHT)
        parts.end_result(document)
        if right and rng.random() >= habits.ignored_observation:
            document.write(attempt)
            return
        if right:
            break
    document.write(_attempt(posed, rng))


def _attempt(posed: countdown.Posed, rng: np.random.Generator) -> str:
    order = rng.permutation(posed.numbers).tolist()
    return countdown.flat(order, rng.choice(["+", "-", "*"], size=len(order) - 1).tolist())
