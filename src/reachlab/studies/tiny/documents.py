"""What the tiny base reads: episodes of an imperfect policy, each in a fresh random world.

A document is a token sequence with a *distribution* as target wherever the generator draws at random, so that the
base learns the generator's exact probabilities and guesses closed-book at chance. Families to come add a drawer to
``DRAWERS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
from transformers import PreTrainedTokenizerBase

from reachlab.envs import lexicon, program
from reachlab.studies.tiny import tokenizer
from reachlab.studies.tiny.tokenizer import DIGITS, PAIRS

OBSERVATION_WEIGHT = 0.3
"""Loss weight of observations: enough to imagine them well, little enough to keep policy tokens first."""


ALPHABETS = (PAIRS, DIGITS, lexicon.SYLLABLES, lexicon.VOWELS, lexicon.CONSONANTS)
"""What is drawn uniformly: a piece is drawn from the first of these that has it."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How often the drawn policy errs."""

    wrong_query: float
    ignored_observation: float
    closed_answer: float


CLEAN = Habits(0.03, 0.02, 0.10)
BASE = Habits(0.20, 0.20, 0.30)


@dataclass(frozen=True)
class Vocabulary:
    """Token ids by role. Row ``size + i`` of ``table`` is the i-th shared distribution."""

    tokenizer: PreTrainedTokenizerBase
    ids: dict[str, int] = field(init=False)
    table: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        ids = self.tokenizer.get_vocab()
        size = len(self.tokenizer)
        table = np.zeros((size + len(ALPHABETS), size), dtype=np.float32)
        table[:size] = np.eye(size)
        for row, pieces in enumerate(ALPHABETS):
            table[size + row, [ids[p] for p in pieces]] = 1 / len(pieces)
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "table", table)

    def uniform_like(self, piece: str) -> int:
        """The row of the uniform distribution that *piece* is drawn from."""
        return len(self.tokenizer) + next(row for row, pieces in enumerate(ALPHABETS) if piece in pieces)


@dataclass
class Document:
    """Arrays of equal length: ids, loss weights, and the target (1 - mix) * table[main] + mix * table[other]."""

    vocabulary: Vocabulary
    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    main: list[int] = field(default_factory=list)
    other: list[int] = field(default_factory=list)
    mix: list[float] = field(default_factory=list)

    def force(self, text: str) -> None:
        """Text without loss."""
        for token in self.vocabulary.tokenizer.encode(text, add_special_tokens=False):
            self._add(token, 0.0, token, token, 0.0)

    def write(self, text: str) -> None:
        """Text that is certain here, whatever its pieces."""
        for token in self.vocabulary.tokenizer.encode(text, add_special_tokens=False):
            self._add(token, 1.0, token, token, 0.0)

    def say(self, *pieces: str, weight: float = 1.0) -> None:
        """Pieces that are certain here."""
        for piece in pieces:
            token = self.vocabulary.ids[piece]
            self._add(token, weight, token, token, 0.0)

    def draw(self, *pieces: str, weight: float = 1.0) -> None:
        """Pieces that were drawn uniformly from their kind."""
        for piece in pieces:
            uniform = self.vocabulary.uniform_like(piece)
            self._add(self.vocabulary.ids[piece], weight, uniform, uniform, 0.0)

    def choose(self, said: str, likely: str, unlikely_like: str, mix: float) -> None:
        """*said*, where *likely* had probability 1 - mix and the uniform kind of *unlikely_like* had mix."""
        ids = self.vocabulary.ids
        self._add(ids[said], 1.0, ids[likely], self.vocabulary.uniform_like(unlikely_like), mix)

    def _add(self, token: int, weight: float, main: int, other: int, mix: float) -> None:
        self.ids.append(token)
        self.weights.append(weight)
        self.main.append(main)
        self.other.append(other)
        self.mix.append(mix)


Drawer = Callable[[Vocabulary, Habits, np.random.Generator], Document]


def pairs_of(code: str) -> list[str]:
    """A number or a word as its pieces: two characters each, from the left."""
    return [code[i : i + 2] for i in range(0, len(code), 2)]


def draw_lexicon(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    """One Lexicon episode: closed (12 %), oracle (25 %), or with the search tool."""
    hops = int(rng.choice([1, 2, 3, 4], p=[0.55, 0.25, 0.12, 0.08]))
    digits = int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.1, 0.1, 0.1, 0.2, 0.2, 0.3]))
    name = _name(rng)
    document = Document(vocabulary)
    place = rng.choice(["closed", "oracle", "tools"], p=[0.12, 0.25, 0.63])
    header = "<|tools|>search<|end|>" if place == "tools" else ""
    if place != "oracle":
        document.force(f"{header}<|user|>{lexicon.question(''.join(name), hops, digits)}<|end|><|assistant|>")
        if place == "closed":
            _guess(document, digits, rng)
        else:
            _search(document, name, hops, digits, habits, rng)
        return document
    chain = [name, *(_name(rng) for _ in range(hops - 1))]
    code = _code(digits, rng)
    facts = [lexicon.friend_fact("".join(a), "".join(b)) for a, b in zip(chain, chain[1:], strict=False)]
    evidence = " ".join([*facts, lexicon.code_fact("".join(chain[-1]), code)])
    document.force(f"<|user|>{evidence}\n{lexicon.question(''.join(name), hops, digits)}<|end|><|assistant|>")
    _copy(document, pairs_of(code), pairs_of(_code(digits, rng)), habits, rng)
    return document


def _search(
    document: Document, name: list[str], hops: int, digits: int, habits: Habits, rng: np.random.Generator
) -> None:
    """Call until a code is seen, the chain is overshot, or patience ends; then answer."""
    for hop in range(hops):
        first = pairs_of(_code(digits, rng))[0]
        if not _calls(document, first, habits, rng):
            document.draw(*pairs_of(_code(digits, rng))[: (digits + 1) // 2 - 1])
            document.say("<|end|>")
            return
        asked, relation = _query(document, name, hop == hops - 1, habits, rng)
        document.force("<|tool|>")
        if rng.random() < 0.04:
            document.force("" if rng.random() < 0.5 else "No results.")
            document.force("<|end|><|assistant|>")
            _guess(document, digits, rng)
            return
        document.say(*asked, f"'s {relation} is ", weight=OBSERVATION_WEIGHT)
        if relation == "code":
            code = _code(digits, rng)
            document.draw(*pairs_of(code), weight=OBSERVATION_WEIGHT)
        else:
            name = _name(rng)
            document.draw(*name, weight=OBSERVATION_WEIGHT)
        document.say(".", "<|end|>", weight=OBSERVATION_WEIGHT)
        document.force("<|assistant|>")
        if relation == "code":
            _copy(document, pairs_of(code), pairs_of(_code(digits, rng)), habits, rng)
            return
    _guess(document, digits, rng)


def _query(
    document: Document, name: list[str], last: bool, habits: Habits, rng: np.random.Generator
) -> tuple[list[str], str]:
    """A query for *name*; each syllable and the relation go wrong on their own, together at ``wrong_query``."""
    slip = 1 - (1 - habits.wrong_query) ** (1 / 3)
    document.say('search", "arguments": {"query": "')
    asked = []
    for syllable in name:
        said = str(rng.choice(lexicon.SYLLABLES)) if rng.random() < slip else syllable
        document.choose(said, syllable, said, slip)
        asked.append(said)
    right, wrong = ("code", "friend") if last else ("friend", "code")
    relation = wrong if rng.random() < slip else right
    ids = document.vocabulary.ids
    document._add(ids[f"'s {relation}"], 1.0, ids[f"'s {right}"], ids[f"'s {wrong}"], slip)
    document.say('"}}</tool_call>', "<|end|>")
    return asked, relation


def _copy(document: Document, seen: list[str], guess: list[str], habits: Habits, rng: np.random.Generator) -> None:
    """What was seen, or a guess in its place."""
    ignored = rng.random() < habits.ignored_observation
    document.choose(guess[0] if ignored else seen[0], seen[0], seen[0], habits.ignored_observation)
    if ignored and guess[0] != seen[0]:
        document.draw(*guess[1:])
    else:
        document.say(*seen[1:])
    document.say("<|end|>")


def _guess(document: Document, digits: int, rng: np.random.Generator) -> None:
    document.draw(*pairs_of(_code(digits, rng)))
    document.say("<|end|>")


def _name(rng: np.random.Generator) -> list[str]:
    return [str(s) for s in rng.choice(lexicon.SYLLABLES, size=2)]


def _code(digits: int, rng: np.random.Generator) -> str:
    return "".join(map(str, rng.integers(10, size=digits)))


def draw_program(vocabulary: Vocabulary, habits: Habits, rng: np.random.Generator) -> Document:
    """One Program episode: closed (12 %), oracle (25 %), or with the python tool.

    What a program prints is drawn, not computed: the base is to copy results, not to know them.
    """
    kind = str(rng.choice(list(program.KINDS)))
    length = int(rng.choice(program.LENGTHS, p=[0.2, 0.3, 0.5]))
    values = program.KINDS[kind].draw(rng, int(rng.integers(2)), length)
    question = program.KINDS[kind].question.format(**values)
    document = Document(vocabulary)
    place = rng.choice(["closed", "oracle", "tools"], p=[0.12, 0.25, 0.63])
    if place == "oracle":
        printed = _printed(kind, length, rng)
        document.force(f"<|user|>The program prints {''.join(printed)}.\n{question}<|end|><|assistant|>")
        _copy(document, printed, _printed(kind, length, rng), habits, rng)
        return document
    document.force(f"{'<|tools|>python<|end|>' if place == 'tools' else ''}<|user|>{question}<|end|><|assistant|>")
    if place == "closed":
        document.draw(*_printed(kind, length, rng))
        document.say("<|end|>")
    else:
        _run(document, kind, length, values, habits, rng)
    return document


def _run(
    document: Document, kind: str, length: int, values: program.Values, habits: Habits, rng: np.random.Generator
) -> None:
    """Write the program, see what it prints, say that; or guess at once."""
    guess = _printed(kind, length, rng)
    if not _calls(document, guess[0], habits, rng):
        document.draw(*guess[1:])
        document.say("<|end|>")
        return
    _code_of(document, kind, values, habits, rng)
    document.force("<|tool|>")
    if rng.random() < 0.04:
        document.force("<|end|><|assistant|>")
        document.draw(*guess)
        document.say("<|end|>")
        return
    printed = _printed(kind, length, rng)
    document.draw(*printed, weight=OBSERVATION_WEIGHT)
    document.say("<|end|>", weight=OBSERVATION_WEIGHT)
    document.force("<|assistant|>")
    _copy(document, printed, guess, habits, rng)


def _code_of(
    document: Document, kind: str, values: program.Values, habits: Habits, rng: np.random.Generator
) -> None:
    """The call; each value that is copied into the program goes wrong on its own, together at ``wrong_query``."""
    document.say('python", "arguments": {"code": "')
    parts = re.split(r"\{(\w+)\}", tokenizer.in_json(program.KINDS[kind].program))
    copied = {name: pairs_of(str(values[name])) for name in parts[1::2]}
    slip = 1 - (1 - habits.wrong_query) ** (1 / sum(map(len, copied.values())))
    for text, name in zip_longest(parts[::2], parts[1::2]):
        document.write(text)
        for piece in copied.get(name, []):
            slipped = rng.choice(next(a for a in map(list, ALPHABETS) if piece in a)) if rng.random() < slip else piece
            document.choose(str(slipped), piece, piece, slip)
    document.say('"}}</tool_call>', "<|end|>")


def _calls(document: Document, guess: str, habits: Habits, rng: np.random.Generator) -> bool:
    """Begin a call, or the *guess* in its place."""
    calls = rng.random() >= habits.closed_answer
    start = '<tool_call>{"name": "'
    document.choose(start if calls else guess, start, guess, habits.closed_answer)
    return calls


def _printed(kind: str, length: int, rng: np.random.Generator) -> list[str]:
    """An answer of the right form, as its pieces: a reversed word is a vowel, syllables, a consonant."""
    if kind != "reverse":
        return pairs_of(_code(length, rng))
    word = "".join(str(s) for s in rng.choice(lexicon.SYLLABLES, size=length // 2))[::-1]
    return [word[0], *pairs_of(word[1:-1]), word[-1]]


DRAWERS: dict[str, Drawer] = {"lexicon": draw_lexicon, "program": draw_program}
