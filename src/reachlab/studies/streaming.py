"""Turns and tools side by side: an episode that waits for a tool keeps no other waiting.

For sessions that take requests while others run (vLLM's). The engine steps in the calling thread; what a turn leads to,
tools and verifier, is found out on a few others::

    with Stream(session, judge) as stream:
        stream.ask(request)
        for handle, found in stream:                    # until nothing is under way; ask for more in between
            ...

Each episode is in one thread at a time. In what order episodes go on is a matter of time, and what each samples is not:
it follows from its own seed.

Not covered: ending what a thread does (tools have limits of their own).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar, runtime_checkable

from reachlab import ActRequest, Session, Turn

T = TypeVar("T")
THREADS = 64
"""Turns that are judged at once; a thread is started only where all others are busy."""
PATIENCE = 0.001
"""Seconds that the next step waits for what was judged: tools are mostly quicker, and go on in the same batch."""


@runtime_checkable
class Streaming(Session, Protocol):
    """A session that takes requests while others run."""

    def submit(self, request: ActRequest) -> None:
        """Ask for a turn."""
        ...

    def poll(self) -> list[tuple[int, Turn]]:
        """Turns that have finished, perhaps none yet. Waits for one step of the engine at most."""
        ...


class Stream(Generic[T]):
    """Pairs of a handle and what *judge* made of its turn, as they come."""

    def __init__(self, session: Streaming, judge: Callable[[int, Turn], T]) -> None:
        self._session, self._judge = session, judge
        self._pool = ThreadPoolExecutor(THREADS, "reachlab-turn")
        self._judged: SimpleQueue[tuple[int, Future[T]]] = SimpleQueue()
        self._sampling = self._judging = 0

    def __enter__(self) -> Stream[T]:
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for nothing: after an error some tool may still run."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(self, request: ActRequest) -> None:
        self._session.submit(request)
        self._sampling += 1

    def __iter__(self) -> Iterator[tuple[int, T]]:
        while self._sampling or self._judging:
            for handle, turn in self._session.poll() if self._sampling else ():
                self._sampling -= 1
                self._hand_over(handle, turn)
            while self._judging:
                try:
                    handle, future = self._judged.get(timeout=PATIENCE if self._sampling else None)
                except Empty:
                    break
                self._judging -= 1
                yield handle, future.result()

    def _hand_over(self, handle: int, turn: Turn) -> None:
        self._judging += 1
        future = self._pool.submit(copy_context().run, self._judge, handle, turn)
        future.add_done_callback(lambda done: self._judged.put((handle, done)))
