"""Documents of Rule: another rule in each, so that the base knows none."""

from __future__ import annotations

import numpy as np

from reachlab.envs import rule
from reachlab.studies.tiny.documents import Document, Habits, Vocabulary
from reachlab.studies.tiny.drawers.parts import begin, code, one_call


def draw(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    digits = int(rng.choice([2, 3, 4, 5, 6], p=[0.35, 0.1, 0.35, 0.1, 0.1]))
    number, image, guessed = (code(digits, rng) for _ in range(3))
    document = Document(vocabulary)
    place = begin(document, "query", rule.question(number), f"The rule makes {image} of {number}.", rng)
    one_call(document, place, 'query", "arguments": {"number": "', number, image, guessed, habits, rng)
    return document
