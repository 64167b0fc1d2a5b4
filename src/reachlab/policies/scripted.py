"""A policy whose turns a function writes: scripted solutions, guessers, misbehaving policies for tests.

Token ids are the text's UTF-8 bytes, so costs and budgets count bytes; log-probabilities are 0 (it is certain).
Not covered: sampling, scores, training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from reachlab import ActRequest, Message, Prompt, TokenKind, ToolResult, Transcript, Turn
from reachlab.seeding import generator

END = 256
"""The end-of-sequence token, one past the bytes."""

Script = Callable[[Sequence[Message], np.random.Generator], str]
"""The next turn, given all messages so far and the handle's own generator."""


@dataclass(frozen=True)
class ScriptedPolicy:
    """``reachlab.Policy`` over a script."""

    name: str
    script: Script

    def session(self) -> ScriptedSession:
        return ScriptedSession(self.script)


@dataclass
class _Past:
    messages: list[Message]
    ids: list[int]
    kinds: list[int]
    seed: int
    turns: int = 0


@dataclass
class ScriptedSession:
    """``reachlab.Session`` over a script. What a handle says depends on its seed and its past alone."""

    script: Script
    _pasts: dict[int, _Past] = field(default_factory=dict)
    _next: int = 0

    def start(self, prompts: Sequence[Prompt], seeds: Sequence[int]) -> list[int]:
        handles = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            past = _Past(list(prompt.messages), [], [], seed)
            for message in prompt.messages:
                _push(past, message.content, TokenKind.PROMPT)
            handles.append(self._add(past))
        return handles

    def act(self, requests: Sequence[ActRequest]) -> Iterator[tuple[int, Turn]]:
        for request in requests:
            past = self._pasts[request.handle]
            text = self.script(tuple(past.messages), generator(past.seed, "script", past.turns))
            ids = [*text.encode(), END][: request.max_tokens]
            ended = ids[-1] == END
            said = bytes(i for i in ids if i != END).decode(errors="ignore")
            past.turns += 1
            past.messages.append(Message("assistant", said))
            past.ids += ids
            past.kinds += [int(TokenKind.POLICY)] * len(ids)
            yield request.handle, Turn(said, np.array(ids), np.zeros(len(ids)), ended)

    def append(self, handle: int, results: Sequence[ToolResult]) -> None:
        past = self._pasts[handle]
        for result in results:
            past.messages.append(Message("tool", result.text))
            _push(past, result.text, TokenKind.OBSERVATION)

    def fork(self, handle: int, seed: int) -> int:
        past = self._pasts[handle]
        return self._add(_Past([*past.messages], [*past.ids], [*past.kinds], seed, past.turns))

    def transcript(self, handle: int) -> Transcript:
        past = self._pasts[handle]
        return Transcript(np.array(past.ids), np.array(past.kinds, dtype=np.uint8), np.zeros(len(past.ids)))

    def close(self, handle: int) -> None:
        del self._pasts[handle]

    def _add(self, past: _Past) -> int:
        self._next += 1
        self._pasts[self._next] = past
        return self._next


def _push(past: _Past, text: str, kind: TokenKind) -> None:
    ids = [*text.encode(), END]
    past.ids += ids
    past.kinds += [int(kind)] * len(ids)
