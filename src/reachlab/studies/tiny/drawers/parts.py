"""What the documents of several families have in common: how an episode begins, calls, guesses and copies.

Not covered: what is particular to a family (its own file here).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reachlab.envs.lexicon import SYLLABLES
from reachlab.studies.tiny.documents import OBSERVATION_WEIGHT, Document, Habits, alphabet_of

CALL = '<tool_call>{"name": "'
CALL_END = '"}}</tool_call>'
NO_RESULT = 0.04
"""How often a tool says nothing, so that the base can live in the silent world."""


def begin(document: Document, tools: str, question: str, evidence: str, rng: np.random.Generator) -> str:
    """The prompt of a world drawn at random: ``closed``, ``oracle`` or ``tools``."""
    place = str(rng.choice(["closed", "oracle", "tools"], p=[0.12, 0.25, 0.63]))
    header = f"<|tools|>{tools}<|end|>" if place == "tools" else ""
    shown = f"{evidence}\n" if place == "oracle" else ""
    document.force(f"{header}<|user|>{shown}{question}<|end|><|assistant|>")
    return place


def guess(document: Document, pieces: Sequence[str], among: Sequence[str] | None = None) -> None:
    """An answer that was drawn at random, or what is left of it."""
    document.draw(*pieces, among=among)
    document.say("<|end|>")


def calls(
    document: Document, guessed: str, mix: float, rng: np.random.Generator, among: Sequence[str] | None = None
) -> bool:
    """Begin a call; with probability *mix* the first piece of a guess in its place."""
    calling = bool(rng.random() >= mix)
    document.choose(CALL if calling else guessed, CALL, guessed, mix, among)
    return calling


def end_call(document: Document) -> None:
    document.say(CALL_END, "<|end|>")
    document.force("<|tool|>")


def observe(document: Document, pieces: Sequence[str], among: Sequence[str] | None = None) -> None:
    """A result that nobody can know, and the next turn's beginning."""
    document.draw(*pieces, weight=OBSERVATION_WEIGHT, among=among)
    end_result(document)


def end_result(document: Document) -> None:
    document.say("<|end|>", weight=OBSERVATION_WEIGHT)
    document.force("<|assistant|>")


def says_nothing(document: Document, rng: np.random.Generator, text: str = "") -> bool:
    """Now and then a tool's result is empty, or *text*."""
    if rng.random() >= NO_RESULT:
        return False
    document.force(f"{text}<|end|><|assistant|>")
    return True


def copy(
    document: Document,
    seen: Sequence[str],
    guessed: Sequence[str],
    habits: Habits,
    rng: np.random.Generator,
    among: Sequence[str] | None = None,
) -> None:
    """What was seen, or a guess in its place."""
    mix = habits.ignored_observation
    ignored = rng.random() < mix
    document.choose(guessed[0] if ignored else seen[0], seen[0], guessed[0], mix, among)
    if ignored and guessed[0] != seen[0]:
        document.draw(*guessed[1:], among=among)
    else:
        document.say(*seen[1:])
    document.say("<|end|>")


def written(document: Document, text: str, wrong: float, rng: np.random.Generator) -> str:
    """Copy *text*; its drawn pieces go wrong on their own, together with probability *wrong*. What was said."""
    pieces = document.vocabulary.pieces(text)
    drawn = sum(alphabet_of(piece) is not None for piece in pieces)
    slip = 1 - (1 - wrong) ** (1 / max(drawn, 1))
    said = []
    for piece in pieces:
        alphabet = alphabet_of(piece)
        if alphabet is None:
            document.say(piece)
            said.append(piece)
        else:
            said.append(str(rng.choice(alphabet)) if rng.random() < slip else piece)
            document.choose(said[-1], piece, piece, slip)
    return "".join(said)


def one_call(
    document: Document,
    place: str,
    call: str,
    argument: str,
    result: str,
    guessed: str,
    habits: Habits,
    rng: np.random.Generator,
    among: Sequence[str] | None = None,
) -> None:
    """The rest of most episodes: call with something from the question, copy what comes; or guess at once."""
    pieces, guesses = document.vocabulary.pieces(result), document.vocabulary.pieces(guessed)
    if place == "closed":
        guess(document, guesses, among)
    elif place == "oracle":
        copy(document, pieces, guesses, habits, rng, among)
    elif not calls(document, guesses[0], habits.closed_answer, rng, among):
        guess(document, guesses[1:], among)
    else:
        document.say(call)
        written(document, argument, habits.wrong_query, rng)
        end_call(document)
        if says_nothing(document, rng):
            guess(document, guesses, among)
        else:
            observe(document, pieces, among)
            copy(document, pieces, guesses, habits, rng, among)


def code(digits: int, rng: np.random.Generator) -> str:
    return "".join(map(str, rng.integers(10, size=digits)))


def name(rng: np.random.Generator) -> list[str]:
    return [str(s) for s in rng.choice(SYLLABLES, size=2)]


def pairs_of(text: str) -> list[str]:
    """A number or a word as its pieces: two characters each, from the left."""
    return [text[i : i + 2] for i in range(0, len(text), 2)]
