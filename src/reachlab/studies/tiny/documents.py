"""What the tiny base reads: episodes of an imperfect policy, each in a fresh random world (``tiny.drawers``).

A document is a token sequence with a *distribution* as target wherever the generator draws at random, so that the
base learns the generator's exact probabilities and guesses closed-book at chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from transformers import PreTrainedTokenizerBase

from reachlab.envs.lexicon import CONSONANTS, SYLLABLES, VOWELS
from reachlab.envs.maze import WAYS
from reachlab.studies.tiny.tokenizer import DIGITS, PAIRS

OBSERVATION_WEIGHT = 0.3
"""Loss weight of observations: enough to imagine them well, little enough to keep policy tokens first."""


BITS = ("00", "01", "10", "11")
POSITIONS = tuple(DIGITS[:n] for n in range(3, 10))
"""Of a dial with n positions."""
TURNINGS = tuple(tuple(space + way for way in WAYS[:n]) for n in (2, 3) for space in ("", " "))
"""Ways at a junction of a maze, the first in a text and later ones."""
ALPHABETS: tuple[tuple[str, ...], ...] = (
    PAIRS, DIGITS, SYLLABLES, tuple(VOWELS), tuple(CONSONANTS), BITS, *POSITIONS, *TURNINGS,
)  # fmt: skip
"""What is drawn uniformly: a piece is drawn from the first of these that has it, unless another one is named."""


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

    def row_of(self, piece: str, among: Sequence[str] | None) -> int:
        """The row of the uniform distribution over *among*, or over the kind of *piece*."""
        pieces = alphabet_of(piece) if among is None else tuple(among)
        assert pieces is not None
        return len(self.tokenizer) + ALPHABETS.index(pieces)

    def pieces(self, text: str) -> list[str]:
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        return [str(piece) for piece in self.tokenizer.convert_ids_to_tokens(ids)]


@cache
def alphabet_of(piece: str) -> tuple[str, ...] | None:
    """The first alphabet that has *piece*."""
    return next((pieces for pieces in ALPHABETS if piece in pieces), None)


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

    def write(self, text: str, weight: float = 1.0) -> None:
        """Text that is certain here, whatever its pieces."""
        for token in self.vocabulary.tokenizer.encode(text, add_special_tokens=False):
            self._add(token, weight, token, token, 0.0)

    def say(self, *pieces: str, weight: float = 1.0) -> None:
        """Pieces that are certain here."""
        for piece in pieces:
            token = self.vocabulary.ids[piece]
            self._add(token, weight, token, token, 0.0)

    def draw(self, *pieces: str, weight: float = 1.0, among: Sequence[str] | None = None) -> None:
        """Pieces that were drawn uniformly, from *among* or from their kind; what has no kind is certain."""
        for piece in pieces:
            if among is None and alphabet_of(piece) is None:
                self.say(piece, weight=weight)
                continue
            uniform = self.vocabulary.row_of(piece, among)
            self._add(self.vocabulary.ids[piece], weight, uniform, uniform, 0.0)

    def choose(
        self, said: str, likely: str, unlikely_like: str, mix: float, among: Sequence[str] | None = None
    ) -> None:
        """*said*, where *likely* had probability 1 - mix, and the uniform over *among* or like *unlikely_like* mix."""
        ids = self.vocabulary.ids
        self._add(ids[said], 1.0, ids[likely], self.vocabulary.row_of(unlikely_like, among), mix)

    def either(self, said: str, likely: str, other: str, mix: float) -> None:
        """*said*, where *likely* had probability 1 - mix, and *other* mix."""
        ids = self.vocabulary.ids
        self._add(ids[said], 1.0, ids[likely], ids[other], mix)

    def _add(self, token: int, weight: float, main: int, other: int, mix: float) -> None:
        self.ids.append(token)
        self.weights.append(weight)
        self.main.append(main)
        self.other.append(other)
        self.mix.append(mix)


Drawer = Callable[[Vocabulary, Habits, np.random.Generator], Document]
"""One episode of a family, as its environment shows it."""
