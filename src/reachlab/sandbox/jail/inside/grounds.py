"""Where a run takes place: what a tier offers to its supervisor and imposes on the untrusted child.

``Namespaced`` is tier A, ``Restricted`` tier B (Landlock, seccomp, rlimits), ``Open`` tier C: nothing but rlimits.
Not promised: B and C count files and bytes by looking at the work directory every few milliseconds, and a process
that a run starts can see that others exist.
"""

from __future__ import annotations

import math
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from . import landlock, namespaces, owners, rootfs, seccomp, usage
from .protocol import ONCE, Job, Limits
from .syscalls import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    drop_capabilities,
    install_filter,
    prctl,
)

OPEN_FILES = 64
_STRANGERS = 16
"""Room for what the same user starts elsewhere after the count: the cap may not refuse a run its own processes."""
_DEVICES = ["/dev/null", "/dev/random", "/dev/urandom"]


class Ground(Protocol):
    """What a supervisor needs to know of its tier."""

    work: str

    def open_work(self, limits: Limits) -> None: ...
    def pids(self) -> list[int]:
        """Every process of the run."""
        ...

    def kill(self, keep: int) -> None:
        """End every process of the run but *keep*."""
        ...

    def end(self) -> None:
        """End every process, and remove what was made for this ground."""
        ...

    def overrun(self, limits: Limits) -> str:
        """Which limit on the work directory is exceeded, or empty."""
        ...

    def memory(self, pids: list[int]) -> int:
        """What they hold together, exactly."""
        ...

    def enter(self) -> None:
        """In the child, before the job is known: all but the limits."""
        ...

    def confine(self, job: Job) -> None:
        """In the child, once the job is known: its limits. From here on nothing is trusted."""
        ...


class Namespaced:
    """Tier A. The supervisor is the first process of its pid namespace, and sees nothing else.

    *group*: descriptors of a control group, if there is one: what it counts, then the ways in.
    """

    work = rootfs.WORK

    def __init__(self, program: bytes, group: tuple[int, ...]) -> None:
        self._program, self._mounted = program, False
        self._group, self._killed = group, 0

    def open_work(self, limits: Limits) -> None:
        self._killed = self._killed_for_memory()
        if self._mounted:
            with suppress(OSError):  # more is there already than is allowed from now on: ``overrun`` will see it
                namespaces.mount_work(limits.files, limits.written_bytes, again=True)
        else:
            namespaces.mount_work(limits.files, limits.written_bytes, again=False)
        self._mounted = True

    def pids(self) -> list[int]:
        return usage.everyone_but(os.getpid())

    def kill(self, keep: int) -> None:
        if not keep:
            signal_to(-1)  # all that this namespace holds, at once; the sender is spared
            return
        kill_until_none(self.pids, keep)

    def end(self) -> None:
        self.kill(0)

    def memory(self, pids: list[int]) -> int:
        return usage.exact_memory(pids)

    def _killed_for_memory(self) -> int:
        """Processes that the kernel has killed in the control group, ever."""
        return usage.counts(os.pread(self._group[0], 4096, 0)).get("oom_kill", 0) if self._group else 0

    def overrun(self, limits: Limits) -> str:
        if self._killed_for_memory() > self._killed:
            return "memory"
        space = os.statvfs(self.work)
        written = (space.f_blocks - space.f_bfree) * space.f_frsize
        if written > namespaces.work_bytes(limits.written_bytes) - space.f_frsize:
            return "written"
        return "files" if space.f_files - space.f_ffree > limits.files + 1 else ""  # the folder itself is one

    def enter(self) -> None:
        for entry in self._group[1:]:
            os.write(entry, b"0")
        drop_capabilities()
        prctl(PR_SET_DUMPABLE, 1)  # the supervisor looks into its memory map; nobody inside can trace anybody
        install_filter(self._program)
        self._data_bytes = usage.data_bytes()

    def confine(self, job: Job) -> None:
        # The kernel counts per user and user namespace: the supervisor, and one beyond the limit so that it shows.
        size = namespaces.work_bytes(job.limits.written_bytes)
        _set_limits(job, self._data_bytes, processes=job.limits.processes + 2, file_bytes=size)


class Open:
    """Tier C: rlimits and the watchdog, no isolation at all."""

    def __init__(self, library: str) -> None:
        self.uid = os.getuid()
        # This process's name is on it: were it killed, whoever comes next removes it.
        self.work = tempfile.mkdtemp(prefix=f"{owners.prefix('jail')}{library}-", dir=_temporary())
        prctl(PR_SET_CHILD_SUBREAPER, 1)

    def open_work(self, limits: Limits) -> None:
        """It is open: nothing but looking limits it."""

    def pids(self) -> list[int]:
        return usage.children(os.getpid())

    def kill(self, keep: int) -> None:
        kill_until_none(self.pids, keep)

    def end(self) -> None:
        self.kill(0)
        shutil.rmtree(self.work, ignore_errors=True)

    @contextmanager
    def _as_run(self) -> Iterator[None]:
        """With the right to look into the run's processes."""
        yield

    def memory(self, pids: list[int]) -> int:
        with self._as_run():
            return usage.exact_memory(pids)

    def overrun(self, limits: Limits) -> str:
        files = written = 0
        for folder, folders, names in os.walk(self.work):
            files += len(folders) + len(names)
            for name in names:
                try:
                    written += os.lstat(os.path.join(folder, name)).st_blocks * 512
                except OSError:
                    continue
        with self._as_run():
            written += self._nameless()
        return "written" if written > limits.written_bytes else "files" if files > limits.files else ""

    def _nameless(self) -> int:
        """What is in deleted files that are still open."""
        device, sizes = os.stat(self.work).st_dev, {}
        for pid in self.pids():
            for descriptor in usage.listing(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    found = os.stat(f"/proc/{pid}/fd/{descriptor}")
                    if found.st_nlink == 0 and found.st_dev == device:
                        sizes[found.st_ino] = found.st_blocks * 512
        return sum(sizes.values())

    def enter(self) -> None:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        self._look_around()

    def _look_around(self) -> None:
        """What must be known of the machine while /proc can be seen."""
        self._others = usage.threads_of(self.uid) if self.uid else 0
        self._data_bytes = usage.data_bytes()

    def confine(self, job: Job) -> None:
        most = self._others + job.limits.processes + 1 + _STRANGERS
        _set_limits(job, self._data_bytes, processes=most, file_bytes=job.limits.written_bytes + 1)


class Restricted(Open):
    """Tier B. As root, each run has a user of its own; otherwise it stays the user that started the library."""

    def __init__(self, library: str, readable: list[str]) -> None:
        super().__init__(library)
        self._readable = readable
        self._root = self.uid == 0
        if self._root:
            self.uid = 2**24 + int.from_bytes(os.urandom(3), "little")
            os.chown(self.work, self.uid, self.uid)

    def kill(self, keep: int) -> None:
        super().kill(keep)
        if self._root and not keep:  # whoever hid from the process tree has this user, which nobody else has
            helper = os.fork()
            if helper == 0:
                try:
                    os.setresuid(self.uid, self.uid, self.uid)
                    signal_to(-1)
                finally:
                    os._exit(0)
            os.waitpid(helper, 0)

    def enter(self) -> None:
        if self._root:
            os.setgroups([])
            os.setresgid(self.uid, self.uid, self.uid)
            os.setresuid(self.uid, self.uid, self.uid)
        drop_capabilities()
        prctl(PR_SET_DUMPABLE, 1)  # the supervisor looks into its open files; nobody inside can trace anybody
        self._look_around()
        landlock.restrict(self._readable, [self.work, *_DEVICES])
        scoped = landlock.abi() >= landlock.SCOPES_ABI
        install_filter(seccomp.program(own_root=False, signals_to=None if scoped else (0, os.getpid())))

    @contextmanager
    def _as_run(self) -> Iterator[None]:
        if not self._root:
            yield
            return
        os.setresgid(self.uid, self.uid, 0)  # root without the capability to trace may not look, the run's user may
        os.setresuid(self.uid, self.uid, 0)
        try:
            yield
        finally:
            os.setresuid(0, 0, 0)
            os.setresgid(0, 0, 0)


def _temporary() -> str | None:
    return owners.SHARED_MEMORY if os.access(owners.SHARED_MEMORY, os.W_OK | os.X_OK) else None


def signal_to(pid: int, number: int = signal.SIGKILL) -> None:
    """A signal, to what may be gone or not ours."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def kill_until_none(pids: Callable[[], list[int]], keep: int) -> None:
    """Stop what there is, look again, until nothing new turns up; then kill it, and look once more."""
    seen: set[int] = set()
    stopped: list[int] = []
    quiet = False
    while True:
        if keep:  # what is still to be stopped may have woken it
            signal_to(keep, signal.SIGSTOP)
        new = [pid for pid in pids() if pid not in seen and pid != keep]
        if quiet and not new:
            return
        for pid in new:
            signal_to(pid, signal.SIGSTOP)
        seen.update(new)
        stopped += new
        quiet = not new
        if quiet:
            for pid in stopped:
                signal_to(pid)
            stopped.clear()


def _set_limits(job: Job, data_bytes: int, processes: int, file_bytes: int) -> None:
    limits, seconds = job.limits, math.ceil(job.limits.cpu_seconds) + 1
    lower(resource.RLIMIT_CORE, 1)  # 0 would still start a core_pattern program of the host; 1 does not (core(5))
    lower(resource.RLIMIT_SIGPENDING, 256)
    lower(resource.RLIMIT_MEMLOCK, 0)
    lower(resource.RLIMIT_MSGQUEUE, 0)
    lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    lower(resource.RLIMIT_NPROC, processes)
    lower(resource.RLIMIT_FSIZE, file_bytes)
    lower(resource.RLIMIT_DATA, data_bytes + limits.memory_bytes)
    if job.mode == ONCE:  # an interpreter that lives on adds up; the watchdog counts each run of it
        lower(resource.RLIMIT_CPU, seconds)


def lower(what: int, most: int) -> None:
    """An rlimit, soft and hard, unless it is lower already."""
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))
