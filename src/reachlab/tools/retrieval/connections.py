"""Connections to one SQLite file: each is used by one thread at a time, and none crosses a fork.

Not covered: a limit on how many; there are as many as threads that search at once.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Connections:
    """Lends connections; *connect* makes one, usable by any thread."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._inherited: list[sqlite3.Connection] = []

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """A connection for the time of the block; closed instead of kept when the block raises."""
        connection = self._take() or self._connect()
        owner = os.getpid()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if owner == self._owner:
                self._idle.append(connection)

    def close(self) -> None:
        """Close the idle ones."""
        while (connection := self._take()) is not None:
            connection.close()

    def _take(self) -> sqlite3.Connection | None:
        if self._owner != os.getpid():
            # A forked child. SQLite forbids it to use or close what it inherited; its parent's lock may be held too.
            self._inherited, self._idle = self._idle, []
            self._lock, self._owner = threading.Lock(), os.getpid()
        with self._lock:
            return self._idle.pop() if self._idle else None
