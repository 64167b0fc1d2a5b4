"""The tokens of many episodes, whatever engine samples them: ids are only appended.

A transcript never grows past the model's positions. What does not fit of a tool result is not read, and the turn that
has no room left ends as one whose tokens ran out; a prompt without room is a fault.
Not covered: sampling. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from reachlab import Prompt, TokenKind, ToolResult, Transcript
from reachlab.policies.chat import ChatTemplate, prompt_key

if TYPE_CHECKING:
    from reachlab.policies.cache import Rows


@dataclass
class Thread:
    """One episode's tokens. ``unread`` of them, at the end, are not in the engine's cache yet."""

    ids: list[int]
    kinds: list[int]
    logprobs: list[float]
    seed: int
    unread: int
    turns: int = 0
    rows: Rows | None = None
    """The cache that holds it, in row ``row``; None where the engine keeps its own."""
    row: int = 0
    fault: str = ""
    """Why it can never act."""

    @classmethod
    def of(cls, ids: Sequence[int], seed: int) -> Thread:
        """One that continues the given ids."""
        count = len(ids)
        return cls(list(ids), [int(TokenKind.PROMPT)] * count, [0.0] * count, seed, count)

    def forget(self) -> None:
        """Give up the cache: everything is read again at the next turn."""
        self.rows, self.unread = None, len(self.ids)

    def push(self, ids: Sequence[int], kinds: Sequence[int], logprobs: Sequence[float] | None = None) -> None:
        self.ids.extend(ids)
        self.kinds.extend(kinds)
        self.logprobs.extend(logprobs if logprobs is not None else [0.0] * len(ids))
        self.unread += len(ids)


@dataclass
class Threads:
    """Every method of ``reachlab.Session`` but ``act``."""

    template: ChatTemplate
    positions: int
    """Tokens that the model takes in all."""
    _threads: dict[int, Thread] = field(default_factory=dict, init=False)
    _next: int = field(default=0, init=False)

    def start(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[int]:
        known: dict[str, list[int]] = {}
        handles = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            key = prompt_key(prompt)
            if key not in known:
                known[key] = self.template.prompt_ids(prompt)
            handles.append(self.open(known[key], seed))
        return handles

    def open(self, ids: Sequence[int], seed: int) -> int:
        """A handle that continues the given ids."""
        return self._add(self._opened(ids, seed))

    def rewind(self, handle: int, ids: Sequence[int], seed: int) -> int:
        """The handle, as if opened with these ids."""
        self._threads[handle] = self._opened(ids, seed)
        return handle

    def append(self, handle: int, results: Sequence[ToolResult]) -> None:
        suffix, thread = self.template.suffix(tuple(results)), self._threads[handle]
        room = self.positions - len(thread.ids)
        thread.push(suffix.ids[:room], suffix.kinds[:room])

    def fork(self, handle: int, seed: int) -> int:
        past = self._threads[handle]
        return self._add(replace(past, seed=seed, ids=[*past.ids], kinds=[*past.kinds], logprobs=[*past.logprobs]))

    def transcript(self, handle: int) -> Transcript:
        thread = self._threads[handle]
        return Transcript(
            np.array(thread.ids, dtype=np.int64),
            np.array(thread.kinds, dtype=np.uint8),
            np.array(thread.logprobs, dtype=np.float64),
        )

    def close(self, handle: int) -> None:
        del self._threads[handle]

    def _add(self, thread: Thread) -> int:
        self._next += 1
        self._threads[self._next] = thread
        return self._next

    def _opened(self, ids: Sequence[int], seed: int) -> Thread:
        thread = Thread.of(ids[: self.positions], seed)
        if len(ids) >= self.positions:
            thread.fault = (
                f"the prompt has {len(ids)} tokens, the model takes {self.positions} in all (max_position_embeddings): "
                "use shorter prompts or a model with a longer context"
            )
        return thread
