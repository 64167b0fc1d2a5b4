"""Documents of Program. What a program prints is drawn, not computed: the base is to copy results, not to know them."""

from __future__ import annotations

import re
from itertools import zip_longest

import numpy as np

from reachlab.envs import lexicon, program
from reachlab.studies.tiny import tokenizer
from reachlab.studies.tiny.documents import Document, Habits, Vocabulary, alphabet_of
from reachlab.studies.tiny.drawers import parts
from reachlab.studies.tiny.drawers.parts import pairs_of


def draw(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    kind = str(rng.choice(list(program.KINDS)))
    length = int(rng.choice(program.LENGTHS, p=[0.2, 0.3, 0.5]))
    values = program.KINDS[kind].draw(rng, int(rng.integers(2)), length)
    said, guessed = _printed(kind, length, rng), _printed(kind, length, rng)
    document = Document(vocabulary)
    question = program.KINDS[kind].question.format(**values)
    place = parts.begin(document, "python", question, f"The program prints {''.join(said)}.", rng)
    if place == "closed":
        parts.guess(document, guessed)
    elif place == "oracle":
        parts.copy(document, said, guessed, habits, rng)
    elif not parts.calls(document, guessed[0], habits.closed_answer, rng):
        parts.guess(document, guessed[1:])
    else:
        _code_of(document, kind, values, habits, rng)
        if parts.says_nothing(document, rng):
            parts.guess(document, guessed)
        else:
            parts.observe(document, said)
            parts.copy(document, said, guessed, habits, rng)
    return document


def _code_of(document: Document, kind: str, values: program.Values, habits: Habits, rng: np.random.Generator) -> None:
    """The call; each value that is copied into the program goes wrong on its own, together at ``wrong_query``."""
    document.say('python", "arguments": {"code": "')
    split = re.split(r"\{(\w+)\}", tokenizer.in_json(program.KINDS[kind].program))
    copied = {value: pairs_of(str(values[value])) for value in split[1::2]}
    slip = 1 - (1 - habits.wrong_query) ** (1 / sum(map(len, copied.values())))
    for text, value in zip_longest(split[::2], split[1::2]):
        document.write(text)
        for piece in copied.get(value, []):
            alphabet = alphabet_of(piece)
            assert alphabet is not None
            said = str(rng.choice(alphabet)) if rng.random() < slip else piece
            document.choose(said, piece, piece, slip)
    parts.end_call(document)


def _printed(kind: str, length: int, rng: np.random.Generator) -> list[str]:
    """An answer of the right form, as its pieces: a reversed word is a vowel, syllables, a consonant."""
    if kind != "reverse":
        return pairs_of(parts.code(length, rng))
    word = "".join(str(s) for s in rng.choice(lexicon.SYLLABLES, size=length // 2))[::-1]
    return [word[0], *pairs_of(word[1:-1]), word[-1]]
