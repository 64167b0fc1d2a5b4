"""Waiting for a function no longer than a limit: Python cannot stop a thread, so it is left behind.

::

    within(5.0, lambda: tool.invoke(arguments))         # ToolFault after five seconds

The work runs on a helper thread that belongs to the calling one and serves its later calls too (4 microseconds a call;
a thread for each takes 120), so that what is bound to a thread (a SQLite connection) can be used again. A helper that
is late is left alone: the next call has another, the late one ends when its work does.

The two wake each other through pipes: a write to one tells Linux that the writer is about to sleep, so the other runs
on the same core. Queues and locks do not, and wherever another core was idle it was woken: 160 microseconds a call.

Not covered: stopping the work (``outside``, ``sandbox``); memory and locks that it holds.
"""

from __future__ import annotations

import math
import os
import select
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, TypeVar

from reachlab.errors import ToolFault

T = TypeVar("T")
_Outcome = tuple[Any, BaseException | None]
_LONGEST = 2**31 - 1
"""Milliseconds that can be waited for, three weeks; a longer limit is none."""


class _Job:
    """Work, and what came of it."""

    __slots__ = ("context", "outcome", "work")

    def __init__(self, context: Context, work: Callable[[], Any]) -> None:
        self.context, self.work = context, work
        self.outcome: _Outcome | None = None


class _Helper:
    """A thread that works for one other thread; it ends when nobody holds this any more."""

    def __init__(self) -> None:
        self._jobs: deque[_Job] = deque()
        theirs, self._wake = os.pipe()
        self._done, answer = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._done, select.POLLIN)
        self.thread = threading.Thread(
            target=_serve, args=(self._jobs, theirs, answer), daemon=True, name="reachlab-tool"
        )
        self.thread.start()
        self.leave = weakref.finalize(self, _leave, self._wake, self._done, os.getpid())
        """Ends the thread when its work is done; called by itself when nobody holds this any more."""
        self.leave.atexit = False

    def ask(self, seconds: float, work: Callable[[], Any]) -> _Outcome | None:
        """The result and the failure of *work*, one of them None; None if neither came in time."""
        job = _Job(copy_context(), work)
        self._jobs.append(job)
        os.write(self._wake, b"!")
        milliseconds = 1000 * seconds
        if not self._poll.poll(math.ceil(max(milliseconds, 0)) if milliseconds < _LONGEST else None):
            return None
        os.read(self._done, 1)
        return job.outcome


_mine = threading.local()
_late: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
"""Threads that were left behind."""


def within(seconds: float | None, work: Callable[[], T]) -> T:
    """The result of *work*, or a ``ToolFault`` after *seconds*. Without a limit it runs in the caller's thread."""
    if seconds is None:
        return work()
    helper = _mine.__dict__.pop("helper", None) or _Helper()  # put back once it is free again
    try:
        outcome = helper.ask(seconds, work)
    except BaseException:  # interrupted half-way: what this helper says next would be the answer to this
        helper.leave()
        raise
    if outcome is None:
        helper.leave()
        _late.add(helper.thread)
        count = f"{abandoned()} abandoned in this process still run"
        raise ToolFault(f"no result after {seconds:g} s; the call was abandoned ({count})")
    _mine.helper = helper
    result, failure = outcome
    try:
        if failure is not None:
            raise failure
        return result  # type: ignore[no-any-return]
    finally:
        del outcome, failure  # they hold this frame


def abandoned() -> int:
    """How many abandoned calls still run in this process."""
    return sum(thread.is_alive() for thread in list(_late))


def _serve(jobs: deque[_Job], woken: int, answer: int) -> None:
    """Works until no more can come."""
    here = os.getpid()
    while os.read(woken, 1) and jobs:
        job = jobs.popleft()
        try:
            outcome: _Outcome = (job.context.run(job.work), None)
        except BaseException as error:  # carried to the waiting thread, whatever it is
            outcome = (None, error)
        if os.getpid() != here:  # the work forked and has returned in the child too, where nobody waits
            os._exit(outcome[1] is not None)
        job.outcome = outcome
        del job, outcome  # a waiting helper keeps nothing of an episode alive
        try:
            os.write(answer, b"!")
        except BrokenPipeError:  # too late: nobody waits
            break
    os.close(woken)
    os.close(answer)


def _leave(wake: int, done: int, here: int) -> None:
    if os.getpid() == here:
        with suppress(BrokenPipeError):  # it has ended
            os.write(wake, b"!")  # with no job: a fork may hold a copy of the pipe, and closing it would not be seen
    os.close(wake)
    os.close(done)


def _forget() -> None:
    global _mine, _late
    _mine, _late = threading.local(), weakref.WeakSet()  # threads do not survive a fork


os.register_at_fork(after_in_child=_forget)
