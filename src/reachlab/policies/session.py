"""A session over a Hugging Face model: batched multi-turn sampling with the cache kept across turns.

Equal prompts are encoded once; what a handle samples depends on its seed alone, by inverse CDF on its own uniforms.
Where memory runs out, all caches are given up, half as many rows are read together, and the turns under way are
sampled again, to the same tokens; a row that does not fit alone is a fault.
Not covered: truncated sampling (top-k, top-p): reach is measured at temperature 1 over the full vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel

from reachlab import ActRequest, TokenKind, Turn
from reachlab.policies.decoding import Decoder
from reachlab.policies.reading import read
from reachlab.policies.threads import Thread, Threads
from reachlab.seeding import generator

UNLIMITED = 2**62
"""Positions of a model whose config names no last one."""
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What an engine's errors say when memory ran out; only CUDA's allocator has a type of its own for it."""


class _Asked(NamedTuple):
    """One request: its handle, its thread, and the most tokens that it and the model's positions allow."""

    handle: int
    thread: Thread
    most: int


SLACK = 32
"""Tokens; see ``_alike``."""


def positions_of(model: PreTrainedModel) -> int:
    """Tokens that a transcript may have: rotary and learned positions beyond these were never trained."""
    return int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or UNLIMITED)


@dataclass
class HuggingFaceSession(Threads):
    """``reachlab.Session`` over *model*; ``stop_ids`` end a turn."""

    model: PreTrainedModel
    stop_ids: frozenset[int]
    _together: int = UNLIMITED
    """Rows that are sampled at once: halved whenever memory runs out."""

    @torch.inference_mode()
    def rewind(self, handle: int, ids: Sequence[int], seed: int) -> int:
        """The handle, as if opened with these ids; what it has read of their beginning stays read."""
        past, thread = self._threads[handle], self._opened(ids, seed)
        known = min(len(past.ids) - past.unread, len(thread.ids) - 1)
        shared = next((i for i in range(known) if past.ids[i] != ids[i]), known)
        thread.unread = len(thread.ids) - shared
        if past.rows is not None:
            past.rows.cut(past.row, shared)
            thread.rows, thread.row = past.rows, past.row
        self._threads[handle] = thread
        return handle

    def act(self, requests: Sequence[ActRequest]) -> Iterator[tuple[int, Turn]]:
        waiting = []
        for request in requests:
            thread = self._threads[request.handle]
            if room := self.positions - len(thread.ids):
                waiting.append(_Asked(request.handle, thread, min(request.max_tokens, room)))
            else:
                yield request.handle, _silence(thread.fault)
        while waiting:
            together, told, full = _alike(waiting)[: self._together], set(), False
            try:
                for handle, turn in self._sample(together):
                    told.add(handle)
                    yield handle, turn
            except (RuntimeError, MemoryError) as error:
                full = _ran_out(error)
                if not full:
                    raise
            if full:  # only here is the error gone, and with it what its frames held
                self._shrink(len(together))
                if len(together) == 1:
                    told.add(together[0].handle)
                    yield together[0].handle, _silence(_no_memory(together[0].thread))
            waiting = [asked for asked in waiting if asked.handle not in told]

    def _shrink(self, count: int) -> None:
        self._together = max(1, count // 2)
        for thread in self._threads.values():
            thread.forget()
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()

    def _sample(self, asked: Sequence[_Asked]) -> Iterator[tuple[int, Turn]]:
        """One turn each, all in one batch."""
        threads = [a.thread for a in asked]
        limits = np.array([a.most for a in asked])
        most = int(limits.max())
        uniforms_B_T = np.stack([generator(t.seed, "sampling", t.turns).random(most) for t in threads])
        rows, logits_B_V = read(self.model, threads)
        for index, thread in enumerate(threads):
            thread.rows, thread.row = rows, index
        decoder = Decoder(self.model, rows, logits_B_V, uniforms_B_T, limits, self.stop_ids)
        for index, ids, logprobs, fault in decoder.run(threads):
            thread = threads[index]
            thread.push(ids.tolist(), [int(TokenKind.POLICY)] * len(ids), logprobs.tolist())
            thread.turns += 1
            thread.unread = 1  # the last sampled token was never fed
            ended = len(ids) > 0 and int(ids[-1]) in self.stop_ids
            said = ids[:-1] if ended else ids
            text = self.template.decode(said.tolist())
            yield asked[index].handle, Turn(text, ids, logprobs, ended, fault)


def _alike(asked: Sequence[_Asked]) -> list[_Asked]:
    """Those that have about as much to read as the one with the least: all rows of a batch take the columns of the
    longest, and one long tool result would fill the memory of all."""
    least = min(a.thread.unread for a in asked)
    return [a for a in asked if a.thread.unread <= 2 * least + SLACK]


def _silence(fault: str = "") -> Turn:
    """A turn without a token: there was no room for one, or the engine failed."""
    return Turn("", np.zeros(0, dtype=np.int64), np.zeros(0), False, fault)


def _ran_out(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(w in str(error) for w in OUT_OF_MEMORY)


def _no_memory(thread: Thread) -> str:
    return (
        f"out of memory with a single row of {len(thread.ids)} tokens: use a smaller model or dtype, a shorter budget, "
        "or a machine with more memory"
    )
