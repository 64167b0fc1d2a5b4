"""One thread with an event loop per process, for clients that are asynchronous and for children that must be owned.

::

    background().run(coroutine, seconds)        # from any thread, also where that thread runs a loop (a notebook)
    background().call(function, seconds)        # a plain function, in that thread

The thread lives until the process ends, so what it starts dies with the process and not with the caller's thread
(Linux's parent-death signal counts threads). A forked process gets a thread of its own; the parent's objects mean
nothing in it. Not covered: calling ``run`` from within the loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from reachlab.errors import ToolFault

T = TypeVar("T")


class Background:
    """The loop and its thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True, name="reachlab-background").start()

    def run(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
        """The result of *coroutine*; cancelled, with a ``ToolFault``, when it takes longer than *seconds*."""
        return _wait(asyncio.run_coroutine_threadsafe(coroutine, self.loop), seconds)

    def call(self, function: Callable[[], T], seconds: float) -> T:
        """The result of *function*, which must be quick: everything else of the loop waits for it."""

        async def body() -> T:
            return function()

        return self.run(body(), seconds)


def _wait(future: Future[T], seconds: float) -> T:
    try:
        return future.result(seconds)
    except TimeoutError as error:
        if future.done() and not future.cancelled():  # the coroutine's own
            raise
        future.cancel()
        raise ToolFault(f"no answer within {seconds:g} s") from error
    except BaseException:  # the caller is interrupted: nobody waits for the result any more
        future.cancel()
        raise


_lock = threading.Lock()
_running: Background | None = None
_inherited: list[Background | None] = []
"""The parent's, kept in forked children: collecting them would close what the parent uses."""


def background() -> Background:
    """This process's; started when first needed."""
    global _running
    with _lock:
        if _running is None:
            _running = Background()
        return _running


def _forget() -> None:
    global _lock, _running
    _lock = threading.Lock()  # another thread of the parent may have held it
    _inherited.append(_running)
    _running = None


os.register_at_fork(after_in_child=_forget)
