"""Documents of Arithmetic. What the calculator says is drawn, not computed: the base is to copy it, not to know it."""

from __future__ import annotations

import numpy as np

from reachlab.envs import arithmetic
from reachlab.studies.tiny.documents import Document, Habits, Vocabulary
from reachlab.studies.tiny.drawers.parts import begin, one_call


def draw(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    operator = str(rng.choice(["*", "+"], p=[0.7, 0.3]))
    digits = int(rng.choice([1, 2, 3, 4], p=[0.2, 0.35, 0.35, 0.1]))
    least = 10 ** (digits - 1) if digits > 1 else 0
    a, b, *others = rng.integers(least, 10**digits, size=6).tolist()
    expression = f"{a} {operator} {b}"
    said, guessed = (str(arithmetic.result(others[i], operator, others[i + 1])) for i in (0, 2))
    document = Document(vocabulary)
    place = begin(document, "calculator", arithmetic.question(expression), f"{expression} = {said}.", rng)
    one_call(document, place, 'calculator", "arguments": {"expression": "', expression, said, guessed, habits, rng)
    return document
