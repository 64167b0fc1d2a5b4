"""Waiting for a function no longer than a limit: Python cannot stop a thread, so it is left behind.

::

    within(5.0, lambda: tool.invoke(arguments))         # ToolFault after five seconds

The work runs on a helper thread that belongs to the calling one and serves its later calls too (8 microseconds a call;
a thread for each takes 120), so that what is bound to a thread (a SQLite connection) can be used again. A helper that
is late is left alone: the next call has another, the late one ends when its work does.

Not covered: stopping the work (``outside``, ``sandbox``); memory and locks that it holds.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from reachlab.errors import ToolFault

T = TypeVar("T")


class _Helper:
    """A thread that works for one other thread; it ends when nobody holds this any more."""

    def __init__(self) -> None:
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self.thread = threading.Thread(target=_serve, args=(self._inbox,), daemon=True, name="reachlab-tool")
        self.thread.start()
        self.leave = weakref.finalize(self, self._inbox.put, None)
        """Ends the thread when its work is done; called by itself when nobody holds this any more."""
        self.leave.atexit = False

    def begin(self, work: Callable[[], Any]) -> SimpleQueue[Any]:
        """Where the result and the failure of *work* will be, one of them None."""
        outcome: SimpleQueue[Any] = SimpleQueue()
        self._inbox.put((copy_context(), work, outcome))
        return outcome


_mine = threading.local()
_late: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
"""Threads that were left behind."""


def within(seconds: float | None, work: Callable[[], T]) -> T:
    """The result of *work*, or a ``ToolFault`` after *seconds*. Without a limit it runs in the caller's thread."""
    if seconds is None:
        return work()
    helper = _mine.__dict__.pop("helper", None) or _Helper()  # put back once it is free again
    outcome = helper.begin(work)
    try:
        result, failure = outcome.get(timeout=min(seconds, threading.TIMEOUT_MAX))
    except Empty:
        helper.leave()
        _late.add(helper.thread)
        count = f"{abandoned()} abandoned in this process still run"
        raise ToolFault(f"no result after {seconds:g} s; the call was abandoned ({count})") from None
    except BaseException:  # interrupted half-way: what this helper says next would be the answer to this
        helper.leave()
        raise
    _mine.helper = helper
    try:
        if failure is not None:
            raise failure
        return result  # type: ignore[no-any-return]
    finally:
        del failure  # it holds this frame


def abandoned() -> int:
    """How many abandoned calls still run in this process."""
    return sum(thread.is_alive() for thread in list(_late))


def _serve(inbox: SimpleQueue[Any]) -> None:
    while (job := inbox.get()) is not None:
        context, work, outcome = job
        try:
            outcome.put((context.run(work), None))
        except BaseException as error:  # carried to the waiting thread, whatever it is
            outcome.put((None, error))
        del job, context, work, outcome  # a waiting helper keeps nothing of an episode alive


def _forget() -> None:
    global _mine, _late
    _mine, _late = threading.local(), weakref.WeakSet()  # threads do not survive a fork


os.register_at_fork(after_in_child=_forget)
