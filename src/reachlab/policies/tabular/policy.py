"""The table and its session: a variable-order Markov policy over tokens that are texts.

The next token is drawn by the row of the longest key that the history ends with. A history is the opening
(``opening(prompt)``), then the policy's own tokens, ``END`` after each turn, and each tool result as one piece.
Not covered: what an episode is worth (``exact``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from reachlab import ActRequest, FloatArray, Prompt, TokenKind, ToolResult, Transcript, Turn
from reachlab.errors import BadValue
from reachlab.seeding import generator

END = "<end>"
"""The token that ends a turn; its id is 0."""

History = tuple[str, ...]


def opening(prompt: Prompt) -> str:
    """The piece that a history begins with: the messages line by line, then the names of the tools."""
    return "\n".join([*(m.content for m in prompt.messages), *(t["function"]["name"] for t in prompt.tools)])


class Row(NamedTuple):
    """The next token's distribution: V tokens, their probabilities (V,)."""

    tokens: tuple[str, ...]
    probabilities: FloatArray


@dataclass(frozen=True, eq=False)
class TabularPolicy:
    """``reachlab.Policy`` over a table of rows, each a token's probabilities by its text."""

    name: str
    table: Mapping[History, Mapping[str, float]]

    def __post_init__(self) -> None:
        for key, row in self.table.items():
            if not row or "" in row or min(row.values()) < 0 or not math.isclose(sum(row.values()), 1.0, rel_tol=1e-9):
                raise BadValue(f"row {key!r} of {self.name!r}", dict(row), "texts with probabilities that sum to 1")

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Id of each token; bytes of prompts and results come after them."""
        words = sorted({token for row in self.table.values() for token in row} - {END})
        return {token: i for i, token in enumerate((END, *words))}

    @cached_property
    def _rows(self) -> Mapping[History, Row]:
        kept = {key: {t: p for t, p in row.items() if p > 0} for key, row in self.table.items()}
        return {key: Row(tuple(row), np.array(list(row.values()))) for key, row in kept.items()}

    @cached_property
    def _order(self) -> int:
        return max(map(len, self.table), default=0)

    def row(self, history: History) -> Row:
        """The distribution of the next token after *history*."""
        for start in range(max(0, len(history) - self._order), len(history) + 1):
            if found := self._rows.get(history[start:]):
                return found
        raise BadValue(f"history of {self.name!r}", history, "one that ends with a key of the table; () fits all")

    def session(self) -> TabularSession:
        return TabularSession(self)

    @property
    def enumerable(self) -> bool:
        """Whether ``exact_success`` is exact: it is, up to ``MOST_COURSES``."""
        return True

    def exact_success(self, prompts: Sequence[Prompt], answers: Sequence[Sequence[str]], max_tokens: int) -> FloatArray:
        """(N,) closed-book probability of a turn that ends within *max_tokens* and is an accepted answer."""

        from reachlab.policies.tabular.exact import closed_success

        asked = zip(prompts, answers, strict=True)
        return np.array([closed_success(self, prompt, accepted, max_tokens) for prompt, accepted in asked])


@dataclass
class _Past:
    history: History
    ids: list[int]
    kinds: list[int]
    logprobs: list[float]
    seed: int
    turns: int = 0

    def push(self, ids: Sequence[int], kind: TokenKind, logprobs: Sequence[float] | None = None) -> None:
        self.ids += ids
        self.kinds += [int(kind)] * len(ids)
        self.logprobs += logprobs if logprobs is not None else [0.0] * len(ids)


@dataclass
class TabularSession:
    """``reachlab.Session``: what a handle samples depends on its seed and its past alone."""

    policy: TabularPolicy
    _pasts: dict[int, _Past] = field(default_factory=dict)
    _next: int = 0

    def start(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[int]:
        handles = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            past = _Past((opening(prompt),), [], [], [], seed)
            past.push(self._foreign(opening(prompt)), TokenKind.PROMPT)
            handles.append(self._add(past))
        return handles

    def act(self, requests: Sequence[ActRequest]) -> Iterator[tuple[int, Turn]]:
        for request in requests:
            yield request.handle, self._turn(self._pasts[request.handle], request.max_tokens)

    def _turn(self, past: _Past, most: int) -> Turn:
        said: list[str] = []
        logprobs: list[float] = []
        for u in generator(past.seed, "sampling", past.turns).random(most):
            tokens, probabilities = self.policy.row(past.history)
            cdf = probabilities.cumsum()
            at = min(int(np.searchsorted(cdf, u * cdf[-1], side="right")), len(tokens) - 1)
            said.append(tokens[at])
            logprobs.append(math.log(probabilities[at]))
            past.history = (*past.history, tokens[at])
            if tokens[at] == END:
                break
        ids = [self.policy.ids[t] for t in said]
        past.push(ids, TokenKind.POLICY, logprobs)
        past.turns += 1
        ended = said[-1] == END
        return Turn("".join(said[: len(said) - ended]), np.array(ids), np.array(logprobs), ended)

    def append(self, handle: int, results: Sequence[ToolResult]) -> None:
        past = self._pasts[handle]
        for result in results:
            past.history = (*past.history, result.text)
            past.push([*self._foreign(result.text), self.policy.ids[END]], TokenKind.OBSERVATION)

    def fork(self, handle: int, seed: int) -> int:
        past = self._pasts[handle]
        own = replace(past, seed=seed, ids=[*past.ids], kinds=[*past.kinds], logprobs=[*past.logprobs])
        return self._add(own)

    def transcript(self, handle: int) -> Transcript:
        past = self._pasts[handle]
        kinds = np.array(past.kinds, dtype=np.uint8)
        return Transcript(np.array(past.ids, dtype=np.int64), kinds, np.array(past.logprobs))

    def close(self, handle: int) -> None:
        del self._pasts[handle]

    def _foreign(self, text: str) -> list[int]:
        """Text that the policy did not write: its bytes, past the ids of its tokens."""
        return [len(self.policy.ids) + byte for byte in text.encode()]

    def _add(self, past: _Past) -> int:
        self._next += 1
        self._pasts[self._next] = past
        return self._next
