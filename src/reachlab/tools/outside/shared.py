"""What the episodes of one process share: opened at the first use, closed with the process.

::

    with borrowed(opener) as remote:        # opener: hashable, equal ones share what they open
        remote.call(...)

A ``ToolFault`` in the block means that nobody can rely on it any more: the next user opens it anew, and the last of
those who still use it closes it. A forked process opens its own. Not covered: limits on the number of users.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from reachlab.errors import ToolFault


class Closable(Protocol):
    """Anything that is open."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class _Entry:
    """One open thing and how many use it."""

    def __init__(self) -> None:
        self.opening = threading.Lock()
        self.held: Closable | None = None
        self.users = 0
        self.retired = False


_lock = threading.Lock()
_entries: dict[Hashable, _Entry] = {}
_inherited: list[object] = []
"""Of the parent, in a forked process: never closed here."""


@contextmanager
def borrowed(opener: Callable[[], C]) -> Iterator[C]:
    """What *opener* opens, shared with every other user in this process."""
    with _lock:
        entry = _entries.setdefault(opener, _Entry())
        entry.users += 1
    try:
        with entry.opening:
            if entry.held is None:
                entry.held = opener()
        yield entry.held  # type: ignore[misc]  # opened by an opener equal to this one
    except ToolFault:
        with _lock:
            entry.retired = True
            if _entries.get(opener) is entry:
                del _entries[opener]
        raise
    finally:
        with _lock:
            entry.users -= 1
            last = entry.retired and entry.users == 0
        if last and entry.held is not None:
            entry.held.close()


@atexit.register
def close_shared() -> None:
    """Close everything that is shared and not in use. A later use opens it anew."""
    with _lock:
        idle = [(opener, entry) for opener, entry in _entries.items() if entry.users == 0]
        for opener, _ in idle:
            del _entries[opener]
    for _, entry in idle:
        if entry.held is not None:
            with contextlib.suppress(Exception):  # the others must be closed too
                entry.held.close()


def _forget() -> None:
    global _lock, _entries
    _inherited.append(_entries)
    _lock, _entries = threading.Lock(), {}


os.register_at_fork(after_in_child=_forget)
