"""Trying again, and asking several at once: what policies over a network share.

Waits double from ``first`` to ``longest``, without jitter: the same failures give the same schedule. Everything is
bounded by ``seconds``; what is still at work then is left behind on its thread, and no interpreter waits for it, nor
does Ctrl-C. Not covered: a rate that is kept on purpose (LangChain's ``rate_limiter`` of a model does that).
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from reachlab import Turn
from reachlab.errors import BadValue, PolicyFault

T = TypeVar("T")
R = TypeVar("R")
AGAIN = {408, 409, 425, 429}
"""Client errors of HTTP after which the same request may work."""
TICK = 0.25
"""Seconds between looks at who is late."""


@dataclass(frozen=True)
class Retry:
    """How patiently one turn is asked for."""

    attempts: int = 6
    first: float = 0.5
    """Seconds before the second attempt; each further wait is twice as long."""
    longest: float = 16.0
    """Seconds that one wait takes at most."""
    seconds: float = 600.0
    """Of one turn, all attempts and waits together."""

    def __post_init__(self) -> None:
        floors = {"attempts": 1, "first": 0, "longest": 0, "seconds": 1e-3}
        for f in fields(self):
            if not getattr(self, f.name) >= floors[f.name]:
                raise BadValue(f"retry {f.name}", getattr(self, f.name), f">= {floors[f.name]:g}")

    def run(self, work: Callable[[], T], stop: threading.Event) -> T:
        """What *work* returns. Raises ``PolicyFault`` after the last attempt, and ``hopeless`` errors at once."""
        end = time.monotonic() + self.seconds
        for attempt in range(1, self.attempts + 1):
            try:
                return work()
            except Exception as error:  # whatever a client library raises
                delay = min(self.first * 2 ** (attempt - 1), self.longest)
                late = time.monotonic() + delay > end
                if hopeless(error) or attempt == self.attempts or late or stop.wait(delay):
                    raise PolicyFault(f"no answer in {attempt} attempts; the last: {told(error)}") from error
        raise AssertionError("unreachable: the last attempt returns or raises")


def status(error: BaseException) -> int | None:
    """The HTTP status that an error of a client library carries."""
    for holder in (error, getattr(error, "response", None)):
        code = getattr(holder, "status_code", None)
        if isinstance(code, int):
            return code
    return None


def hopeless(error: BaseException) -> bool:
    """Whether the same request would fail again: the model's library says so, or the server refused the request."""
    said = getattr(error, "is_retryable", None)  # langchain_core.exceptions.ModelError
    if isinstance(said, bool):
        return not said
    code = status(error)
    return code is not None and 400 <= code < 500 and code not in AGAIN


def told(error: BaseException) -> str:
    """An error in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def silence(fault: str = "") -> Turn:
    """A turn without a token: there was no room for one, or nobody answered."""
    return Turn("", np.zeros(0, dtype=np.int64), np.zeros(0), False, fault)


def side_by_side(
    work: Callable[[T, threading.Event], R], items: Sequence[T], workers: int, seconds: float
) -> Iterator[tuple[T, R | Exception]]:
    """Each item with what *work* made of it, or raised, in the order in which they come back.

    After *seconds* of work on it an item comes back with a ``TimeoutError``, its thread is left behind and another
    takes its place. Who leaves early sets the event that *work* is given, and waits for nothing.
    """
    todo, done, stop = deque(range(len(items))), queue.SimpleQueue[tuple[int, R | Exception]](), threading.Event()
    began: dict[int, float] = {}
    waiting, late = set(todo), set[int]()

    def serve() -> None:
        index = -1
        while index not in late:  # the place of a late one is taken
            try:
                index = todo.popleft()
            except IndexError:
                return
            began[index] = time.monotonic()
            try:
                done.put((index, work(items[index], stop)))
            except Exception as error:
                done.put((index, error))

    def hire() -> None:
        threading.Thread(target=copy_context().run, args=(serve,), daemon=True, name="reachlab-policy").start()

    try:
        for _ in range(min(workers, len(items))):
            hire()
        looked = time.monotonic()
        while waiting:
            with suppress(queue.Empty):
                index, outcome = done.get(timeout=min(TICK, seconds))
                if index in waiting:
                    waiting.discard(index)
                    yield items[index], outcome
            if (now := time.monotonic()) < looked + min(TICK, seconds):
                continue
            looked = now
            for index in [i for i in sorted(waiting) if now - began.get(i, now) > seconds]:
                waiting.discard(index)
                late.add(index)
                hire()
                yield items[index], TimeoutError(f"no answer after {seconds:g} s; the request was abandoned")
    finally:
        todo.clear()
        stop.set()
