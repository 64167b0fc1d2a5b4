"""``Jail``: the ``Sandbox`` over an engine, safe to share between threads and to carry through a fork."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Sequence

from reachlab import Language, SandboxLimits, SandboxResult
from reachlab.errors import BadValue, ToolFault
from reachlab.sandbox import request
from reachlab.sandbox.jail import tiers
from reachlab.sandbox.jail.engine import Engine, Worker, default_python
from reachlab.sandbox.jail.inside import owners
from reachlab.sandbox.jail.inside.protocol import ONCE, SESSION, Job


class Jail:
    """Runs code in one-shot children that are jailed before the code arrives. See the package for what is promised.

    ``preimport``: modules every run finds loaded. ``pool``: children kept ready. ``python``: the interpreter, by
    default this one's. ``tiers``: which may be used, in order.
    """

    def __init__(
        self,
        preimport: Sequence[str] = (),
        pool: int = 2,
        allow_unsafe: bool = False,
        python: str = "",
        tiers: Sequence[str] = tiers.ISOLATING,
    ) -> None:
        if not sys.platform.startswith("linux"):
            raise ToolFault(f"the jail needs Linux, this is {sys.platform}; use a container backend")
        if pool < 0:
            raise BadValue("pool", pool, ">= 0")
        self._setting = (tuple(preimport), pool, python or default_python())
        self._tiers = (*tiers, "C") if allow_unsafe else tuple(tiers)
        self._lock = threading.RLock()  # a session may be collected while it is held
        self._engine: Engine | None = None
        self._finalizer: weakref.finalize[[], Jail] | None = None
        self._closed = False
        self.reasons: dict[str, str] = {}
        """Why the tiers before this one were passed over."""
        self.cgroups = ""
        """Whether control groups cap each run's memory in total and its processes, or why not."""
        with self._lock:
            self._start()

    @property
    def tier(self) -> str:
        """The isolation in use, as in every result."""
        return tiers.NAMES[self._tiers[0]]

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult:
        job = request.job(ONCE, code, limits, language)
        engine, worker = self._take()
        try:
            return self._attempt(engine, worker, job)
        finally:
            self._give_back(engine, worker)

    def session(self) -> JailSession:
        return JailSession(self)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._drop()

    def _start(self) -> Engine:
        preimport, pool, python = self._setting
        owners.sweep()
        engine, reasons, self.cgroups = tiers.choose(self._tiers, preimport, pool, python)
        self.reasons |= reasons
        self._tiers = (engine.tier,)  # what was good enough once is what a later start must reach
        self._engine = engine
        self._finalizer = weakref.finalize(self, engine.close)
        return engine

    def _drop(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._engine = self._finalizer = None

    def _take(self) -> tuple[Engine, Worker]:
        with self._lock:
            if self._closed:
                raise ToolFault("this jail is closed")
            if self._engine is not None and self._engine.owner != os.getpid():
                self._drop()  # a fork of the owner needs its own
            engine = self._engine or self._start()
            try:
                return engine, engine.take()
            except ToolFault:
                self._drop()
            engine = self._start()  # what died before it was asked has run nothing of this job
            return engine, engine.take()

    def _give_back(self, engine: Engine, worker: Worker) -> None:
        with self._lock:
            engine.done(worker)

    def _attempt(self, engine: Engine, worker: Worker, job: Job) -> SandboxResult:
        try:
            report = worker.run(job)
        except (OSError, EOFError) as error:
            with self._lock:
                problem = engine.problem()
                if not engine.alive() and self._engine is engine:
                    self._drop()
            owners.sweep()  # the folder of that supervisor
            raise ToolFault(f"the jail's supervisor is gone: {problem or error}") from error
        return request.result(report, tiers.NAMES[engine.tier])


class JailSession:
    """One interpreter and one work directory. A limit that ends a run ends the interpreter; the files stay."""

    def __init__(self, jail: Jail) -> None:
        self._jail, self._closed, self._lock = jail, False, threading.RLock()
        self._held: tuple[Engine, Worker] | None = None

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult:
        job = request.job(SESSION, code, limits, language)
        with self._lock:
            if self._closed:
                raise ToolFault("this session is closed")
            if self._held is None:
                self._held = self._jail._take()
            if self._held[0].owner != os.getpid():
                raise ToolFault("this session belongs to the process that this one was forked from")
            try:
                return self._jail._attempt(*self._held, job)
            except BaseException:
                self._release()
                raise

    def close(self) -> None:
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._held is not None:
            self._jail._give_back(*self._held)
            self._held = None

    def __del__(self) -> None:
        self.close()
