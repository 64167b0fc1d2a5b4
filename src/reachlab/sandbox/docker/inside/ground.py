"""The container as the jail's supervisor sees it: a ``Ground`` of which the worker is the first process.

Not covered: limits that the engine sets on the whole container (``options``).
"""

from __future__ import annotations

import math
import os
import resource

from reachlab.sandbox.docker.inside import work
from reachlab.sandbox.docker.inside.counters import Counters
from reachlab.sandbox.jail.inside import usage
from reachlab.sandbox.jail.inside.grounds import kill_until_none, lower, signal_to
from reachlab.sandbox.jail.inside.protocol import ONCE, Job, Limits
from reachlab.sandbox.jail.inside.syscalls import install_filter

WORK = "/tmp"


class Contained:
    """A ``Ground``: the container that this process is the first of."""

    work = WORK

    def __init__(self, program: bytes) -> None:
        self._program = program
        self._counters, self._before = Counters(), (0, 0)
        self._own = self._counters.memory_in_use(0) or 0

    def open_work(self, limits: Limits) -> None:
        self._before = (self._counters.killed_for_memory(), self._counters.refused_processes())

    def pids(self) -> list[int]:
        return usage.everyone_but(os.getpid())

    def kill(self, keep: int) -> None:
        if not keep:
            signal_to(-1)  # all but the sender
            return
        kill_until_none(self.pids, keep)

    def end(self) -> None:
        self.kill(0)

    def overrun(self, limits: Limits) -> str:
        killed, refused = self._before
        if self._counters.killed_for_memory() > killed:
            return "memory"
        if self._counters.refused_processes() > refused:
            return "processes"
        now = work.used(self.work)
        held = self._counters.memory_in_use(now.written_bytes)
        if held is not None and held - self._own > limits.memory_bytes:  # with pages that no process counts as its own
            return "memory"
        return "written" if now.written_bytes > limits.written_bytes else "files" if now.files > limits.files else ""

    def memory(self, pids: list[int]) -> int:
        """As the kernel counts it for all, without what this process held at its start."""
        found = self._counters.memory_in_use(work.used(self.work).written_bytes)
        return usage.exact_memory(pids) if found is None else max(0, found - self._own)

    def enter(self) -> None:
        if self._program:
            install_filter(self._program)

    def confine(self, job: Job) -> None:
        """What the engine cannot set for one run: it has set the other limits on the container."""
        lower(resource.RLIMIT_DATA, usage.data_bytes() + job.limits.memory_bytes)
        if job.mode == ONCE:  # an interpreter that lives on adds up; the watch counts each run of it
            lower(resource.RLIMIT_CPU, math.ceil(job.limits.cpu_seconds) + 1)
