"""A session over vLLM's engine: turns come as they finish, and new requests may come while others run.

What a transformers session keeps of an episode is kept here too: ids, kinds, log-probabilities, seed. Ids go to the
engine as they are; that it has read their beginning before is its prefix cache's business.

Not covered: two requests for one handle at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from reachlab import ActRequest, TokenKind, Turn
from reachlab.policies.session import HuggingFaceSession

if TYPE_CHECKING:
    from reachlab.policies.vllm.engine import VllmEngine


class Asked(NamedTuple):
    """A turn that is wanted of the engine."""

    ids: list[int]
    """All tokens so far."""
    draw: tuple[int, int]
    """Seed of the episode and number of the turn: what is drawn follows from them."""
    max_tokens: int
    stop_ids: frozenset[int]


class Sampled(NamedTuple):
    """What came of it."""

    ids: Sequence[int]
    logprobs: Sequence[float]
    fault: str = ""


@dataclass
class VllmSession(HuggingFaceSession):
    """``reachlab.Session``, and ``submit`` with ``poll`` for requests that come one by one."""

    engine: VllmEngine = field(kw_only=True)
    _running: set[int] = field(default_factory=set)
    _done: list[tuple[int, Turn]] = field(default_factory=list)

    def act(self, requests: Sequence[ActRequest]) -> Iterator[tuple[int, Turn]]:
        for request in requests:
            self.submit(request)
        while self._running or self._done:
            yield from self.poll()

    def submit(self, request: ActRequest) -> None:
        """Ask for a turn; ``poll`` gives it. One that the context has no room for is cut there, before its end."""
        handle, thread = request.handle, self._threads[request.handle]
        most = min(request.max_tokens, self.positions - len(thread.ids))
        self._running.add(handle)
        if most < 1:
            self._finish(handle, Sampled((), (), thread.fault))
            return
        asked = Asked(list(thread.ids), (thread.seed, thread.turns), most, self.stop_ids)
        try:
            self.engine.add(self.model, asked, partial(self._finish, handle))
        except BaseException:
            self._running.discard(handle)
            raise

    def poll(self) -> list[tuple[int, Turn]]:
        """Turns that have finished; if none has, after one step of the engine. Never waits for anything else."""
        if self._running and not self._done:
            self.engine.step()
        done, self._done = self._done, []
        return done

    def _finish(self, handle: int, sampled: Sampled) -> None:
        self._running.discard(handle)
        thread = self._threads.get(handle)
        if thread is None:  # closed meanwhile
            return
        logprobs, fault = np.array(sampled.logprobs, dtype=np.float64), sampled.fault
        numbers = np.isfinite(logprobs)
        if not numbers.all():
            fault = fault or "the model's logits were not numbers"
            logprobs = logprobs[: int(numbers.argmin())]
        ids = np.array(sampled.ids, dtype=np.int64)[: len(logprobs)]
        thread.push(ids.tolist(), [int(TokenKind.POLICY)] * len(ids), logprobs.tolist())
        thread.turns += 1
        ended = len(ids) > 0 and int(ids[-1]) in self.stop_ids
        text = self.template.decode((ids[:-1] if ended else ids).tolist())
        self._done.append((handle, Turn(text, ids, logprobs, ended, fault)))
