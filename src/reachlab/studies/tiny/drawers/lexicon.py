"""Documents of Lexicon: search until a code is seen, the chain is overshot, or patience ends; then answer."""

from __future__ import annotations

import numpy as np

from reachlab.envs import lexicon
from reachlab.studies.tiny.documents import OBSERVATION_WEIGHT, Document, Habits, Vocabulary
from reachlab.studies.tiny.drawers import parts
from reachlab.studies.tiny.drawers.parts import code, name, pairs_of


def draw(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    hops = int(rng.choice([1, 2, 3, 4], p=[0.55, 0.25, 0.12, 0.08]))
    digits = int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.1, 0.1, 0.1, 0.2, 0.2, 0.3]))
    chain, said = [name(rng) for _ in range(hops)], code(digits, rng)
    facts = [lexicon.friend_fact("".join(a), "".join(b)) for a, b in zip(chain, chain[1:], strict=False)]
    evidence = " ".join([*facts, lexicon.code_fact("".join(chain[-1]), said)])
    document = Document(vocabulary)
    place = parts.begin(document, "search", lexicon.question("".join(chain[0]), hops, digits), evidence, rng)
    if place == "closed":
        parts.guess(document, pairs_of(code(digits, rng)))
    elif place == "oracle":
        parts.copy(document, pairs_of(said), pairs_of(code(digits, rng)), habits, rng)
    else:
        _search(document, chain[0], hops, digits, habits, rng)
    return document


def _search(
    document: Document, asked: list[str], hops: int, digits: int, habits: Habits, rng: np.random.Generator
) -> None:
    for hop in range(hops):
        guessed = pairs_of(code(digits, rng))
        if not parts.calls(document, guessed[0], habits.closed_answer, rng):
            parts.guess(document, guessed[1:])
            return
        asked, relation = _query(document, asked, hop == hops - 1, habits, rng)
        if parts.says_nothing(document, rng, "" if rng.random() < 0.5 else "No results."):
            break
        document.say(*asked, f"'s {relation} is ", weight=OBSERVATION_WEIGHT)
        seen = pairs_of(code(digits, rng)) if relation == "code" else name(rng)
        parts.observe(document, [*seen, "."])
        if relation == "code":
            parts.copy(document, seen, pairs_of(code(digits, rng)), habits, rng)
            return
        asked = seen
    parts.guess(document, pairs_of(code(digits, rng)))


def _query(
    document: Document, of: list[str], last: bool, habits: Habits, rng: np.random.Generator
) -> tuple[list[str], str]:
    """A query for a name; each syllable and the relation go wrong on their own, together at ``wrong_query``."""
    slip = 1 - (1 - habits.wrong_query) ** (1 / 3)
    document.say('search", "arguments": {"query": "')
    asked = []
    for syllable in of:
        asked.append(str(rng.choice(lexicon.SYLLABLES)) if rng.random() < slip else syllable)
        document.choose(asked[-1], syllable, syllable, slip)
    right, wrong = ("code", "friend") if last else ("friend", "code")
    relation = wrong if rng.random() < slip else right
    document.either(f"'s {relation}", f"'s {right}", f"'s {wrong}", slip)
    parts.end_call(document)
    return asked, relation
