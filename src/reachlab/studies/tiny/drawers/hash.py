"""Documents of Hash: bits of a word that are drawn anew in each."""

from __future__ import annotations

import numpy as np

from reachlab.envs import hash as hashes
from reachlab.envs.words import word
from reachlab.studies.tiny.documents import BITS, Document, Habits, Vocabulary
from reachlab.studies.tiny.drawers.parts import begin, one_call


def draw(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    bits = int(rng.choice([2, 4, 8, 12, 16], p=[0.15, 0.2, 0.2, 0.2, 0.25]))
    of = word(rng, int(rng.integers(2)), 3)
    digest, guessed = ("".join(map(str, rng.integers(2, size=bits))) for _ in range(2))
    document = Document(vocabulary)
    place = begin(document, "query", hashes.question(of, bits), f"The bits of {of} are {digest}.", rng)
    one_call(document, place, 'query", "arguments": {"word": "', of, digest, guessed, habits, rng, BITS)
    return document
