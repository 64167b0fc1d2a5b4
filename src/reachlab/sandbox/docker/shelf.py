"""The containers of one sandbox: warm ones by shape, and those in use.

Not covered: what runs in them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from reachlab.errors import ToolFault
from reachlab.sandbox.docker.container import Container
from reachlab.sandbox.docker.options import Shape

SHAPES = 4
"""Warm containers are kept for the shapes used last."""


class Shelf:
    """Keeps up to ``each`` warm containers for every one of the last few shapes."""

    def __init__(self, start: Callable[[Shape], Container], each: int) -> None:
        self._start, self._each = start, each
        self._lock = threading.Lock()
        self._warm: OrderedDict[Shape, deque[Container]] = OrderedDict()
        self._out: set[Container] = set()
        self._closed = False

    def take(self, shape: Shape) -> Container:
        """A warm one if there is one that can be had, else a new one."""
        while (container := self._pop(shape)) is not None:
            if container.ready():
                return container
            self._drop(container)
        container = self._start(shape)
        with self._lock:
            closed = self._closed
            self._out.add(container)
        if closed or not container.ready():
            self._drop(container)
            raise ToolFault("this sandbox is closed" if closed else "a new container ended at once")
        return container

    def give_back(self, container: Container) -> None:
        with self._lock:
            self._out.discard(container)
            warm = self._warm.get(container.shape)
            if not self._closed and container.usable and warm is not None and len(warm) < self._each:
                warm.append(container)
                return
        container.let_go()

    def close(self) -> None:
        """Remove them all, also those that other threads are using: their runs end as faults."""
        with self._lock:
            self._closed = True
            every = [*self._out, *(container for warm in self._warm.values() for container in warm)]
            self._warm.clear()
            self._out.clear()
        for container in every:
            container.remove()

    def forget(self) -> None:
        """In a fork: they are the parent's, and so are their sockets' other ends."""
        self._closed = True
        self._warm.clear()
        self._out.clear()

    def _pop(self, shape: Shape) -> Container | None:
        with self._lock:
            warm = self._warm.setdefault(shape, deque())
            self._warm.move_to_end(shape)
            while len(self._warm) > SHAPES:
                for old in self._warm.popitem(last=False)[1]:
                    old.let_go()
            if not warm:
                return None
            container = warm.popleft()
            self._out.add(container)
            return container

    def _drop(self, container: Container) -> None:
        with self._lock:
            self._out.discard(container)
        container.remove()
