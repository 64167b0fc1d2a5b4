"""``Docker``: the ``Sandbox`` over warm containers, safe to share between threads and to carry through a fork."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from reachlab import Language, SandboxLimits, SandboxResult
from reachlab.errors import BadValue, ToolFault
from reachlab.sandbox import request
from reachlab.sandbox.docker import recipe
from reachlab.sandbox.docker.container import Container
from reachlab.sandbox.docker.engine import connect, faults
from reachlab.sandbox.docker.options import Shape
from reachlab.sandbox.docker.owners import sweep
from reachlab.sandbox.docker.shelf import Shelf
from reachlab.sandbox.jail.inside.protocol import ONCE, SESSION


class Docker:
    """Runs code in children of a worker in a hardened container. See the package for what is promised.

    ``image``: the bundled one, or one by name with Python 3.11 or newer. ``runtime``: of the engine, such as ``runsc``.
    ``preimport``: modules of the image that every run finds loaded. ``pool``: warm containers kept for each shape of
    limits. ``client``: of the SDK, else the engine is the one that DOCKER_HOST names.
    """

    def __init__(
        self,
        image: str = recipe.DEFAULT,
        runtime: str | None = None,
        preimport: Sequence[str] = (),
        pool: int = 1,
        client: Any = None,
    ) -> None:
        if pool < 0:
            raise BadValue("pool", pool, ">= 0")
        self._setting = (image, runtime, tuple(preimport))
        self._given, self._pool = client, pool
        self._lock = threading.Lock()
        self._closed = False
        self._connect()

    @property
    def tier(self) -> str:
        """The isolation in use, as in every result."""
        return self._tier

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult:
        job = request.job(ONCE, code, limits, language)
        shelf, container = self._take(Shape.of(limits))
        try:
            return request.result(container.run(job), self._tier)
        finally:
            shelf.give_back(container)

    def session(self) -> DockerSession:
        return DockerSession(self)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._finalizer()

    def __enter__(self) -> Docker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _connect(self) -> None:
        image, runtime, preimport = self._setting
        client = self._given or connect()
        try:
            with faults("asking the engine what it is"):
                self._tier = f"docker-{runtime or client.info().get('DefaultRuntime', 'default')}"
            sweep(client)
            recipe.ensure(client, image)
        except BaseException:
            if self._given is None:
                client.close()
            raise
        self._owner = os.getpid()
        self._shelf = Shelf(lambda shape: Container(client, image, runtime, preimport, shape), self._pool)
        self._finalizer = weakref.finalize(self, _end, self._shelf, None if self._given else client, self._owner)

    def _take(self, shape: Shape) -> tuple[Shelf, Container]:
        with self._lock:
            if self._closed:
                raise ToolFault("this sandbox is closed")
            if self._owner != os.getpid():  # a fork has containers of its own
                self._finalizer.detach()
                self._shelf.forget()
                self._connect()
            shelf = self._shelf
        return shelf, shelf.take(shape)


class DockerSession:
    """One container. A limit that ends a run ends the interpreter; the files stay, unless the container ended too."""

    def __init__(self, sandbox: Docker) -> None:
        self._sandbox, self._closed = sandbox, False
        self._held: tuple[Shelf, Container] | None = None

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult:
        job, shape = request.job(SESSION, code, limits, language), Shape.of(limits)
        if self._closed:
            raise ToolFault("this session is closed")
        if self._held is not None and not self._held[1].alive():
            self._release()
        if self._held is None:
            self._held = self._sandbox._take(shape)
        container = self._held[1]
        if not container.shape.holds(shape):
            raise BadValue("limits of a session's later run", shape, f"at most what it began with: {container.shape}")
        try:
            return request.result(container.run(job), self._sandbox.tier)
        finally:
            if not container.usable:
                self._release()

    def close(self) -> None:
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._held is not None:
            shelf, container = self._held
            self._held = None
            container.wipe()
            shelf.give_back(container)

    def __del__(self) -> None:
        self.close()


def _end(shelf: Shelf, client: Any, owner: int) -> None:
    """In the owner only: a fork that ends leaves the containers to it."""
    if os.getpid() != owner:
        return
    shelf.close()
    if client is not None:
        client.close()
