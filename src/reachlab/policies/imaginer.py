"""A model that writes tool results, through a session of its own: the imagined world.

What it reads at one step of an episode it keeps for the next: reading everything anew took most of the time of long
episodes. Not covered: models without a cache that can be cut back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from reachlab import ActRequest, Session, TokenKind, ToolResult, Transcript
from reachlab.errors import PolicyFault
from reachlab.policies.chat import ChatTemplate

Handles = dict[bytes, list[int]]
"""By the ids of the transcript that they were asked about."""


class Rewindable(Session, Protocol):
    """A session whose handles may go on from other ids than they have."""

    def open(self, ids: Sequence[int], seed: int) -> int:
        """A handle that continues the given ids."""
        ...

    def rewind(self, handle: int, ids: Sequence[int], seed: int) -> int:
        """The handle, as if opened with these ids."""
        ...


@dataclass
class SessionImaginer:
    """``reachlab.Imaginer``. A text ends at one of the session's stops: the template's end of a tool result, or of a
    turn."""

    template: ChatTemplate
    session: Rewindable
    _asked: tuple[Handles, Handles] = field(default_factory=lambda: ({}, {}))
    """Of the last call and the one before; who was asked in neither has ended. (After the first result of a turn
    only those with another call in it are asked.)"""

    def imagine(
        self,
        transcripts: Sequence[Transcript],
        results: Sequence[Sequence[ToolResult]],
        seeds: Sequence[int],
        max_tokens: int,
    ) -> list[str]:
        handles = [
            self._handle(t, [*t.ids.tolist(), *self.template.imagined_prefix(tuple(r))], seed)
            for t, r, seed in zip(transcripts, results, seeds, strict=True)
        ]
        texts = {}
        for handle, turn in self.session.act([ActRequest(handle, max_tokens) for handle in handles]):
            if turn.fault:
                raise PolicyFault(f"imagining failed: {turn.fault}")
            texts[handle] = turn.text.rstrip("\n")
        for handle in (handle for known in self._asked[1].values() for handle in known):
            self.session.close(handle)
        self._asked = {}, self._asked[0]
        for handle, transcript in zip(handles, transcripts, strict=True):
            self._asked[0].setdefault(transcript.ids.tobytes(), []).append(handle)
        return [texts[handle] for handle in handles]

    def _handle(self, transcript: Transcript, ids: Sequence[int], seed: int) -> int:
        """A handle that continues *ids*: the one that read most of them, or a new one."""
        policy = transcript.kinds == TokenKind.POLICY
        ends = np.flatnonzero(policy & ~np.append(policy[1:], False)) + 1
        for end in ends[::-1]:
            for asked in self._asked:
                if known := asked.get(transcript.ids[:end].tobytes()):
                    return self.session.rewind(known.pop(), ids, seed)
        return self.session.open(ids, seed)
