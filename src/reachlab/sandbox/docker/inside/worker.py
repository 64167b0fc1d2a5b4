"""Process 1 of a container: takes jobs on its standard input, forks a child for each, reports on its standard output.

The jail's supervisor does the watching; this says what a container adds: it is the init that nobody inside can signal
or read and that every orphan falls to, killing all is one call, and the kernel counts what the whole container uses.
Between two runs everything is killed and the work directory emptied; then it says that it is ready. Where that fails
the container ends. It ends with its standard input, too.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import NoReturn, cast

from reachlab.sandbox.docker.inside import work
from reachlab.sandbox.docker.inside.ground import WORK, Contained
from reachlab.sandbox.jail.inside import preimport, seccomp
from reachlab.sandbox.jail.inside.child import Child
from reachlab.sandbox.jail.inside.protocol import ONCE, read_exactly, read_job
from reachlab.sandbox.jail.inside.supervisor import Desk
from reachlab.sandbox.jail.inside.syscalls import PR_SET_DUMPABLE, one_malloc_arena, prctl

RUN, WIPE, READY = b"R", b"W", b"+"
_HELLO = struct.Struct(">I")


class Bench(Desk):
    """A desk that is ready again for somebody else."""

    def refill(self, ground: Contained) -> None:
        """A child that waits, so that the next run need not wait for one."""
        if self._ready is None:
            self._ready = Child(ground, self._null)

    def clear(self, ground: Contained) -> None:
        """End the session, if there is one, and everything with it."""
        ground.kill(0)
        for child in (self._resident, self._ready):
            if child is not None:
                child.close()
        self._resident = self._ready = None
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)


class Wire:
    """The two pipes, with the two methods of a socket that the protocol uses."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink

    def recv(self, size: int) -> bytes:
        return os.read(self._source, size)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._sink, view) :]


def main(modules: list[str]) -> NoReturn:
    """Say hello, with what is wrong if anything is, and serve."""
    if os.getpid() != 1:
        raise RuntimeError("the worker kills every process it sees: it runs as process 1 of its own container only")
    source, sink = os.dup(0), os.dup(1)
    _detach()
    wire = Wire(source, sink)
    try:
        ground = _settle(modules)
    except BaseException as error:
        _hello(wire, f"{type(error).__name__}: {error}")
        os._exit(1)
    _hello(wire, "")
    try:
        _serve(wire, ground, source)
    except (EOFError, BrokenPipeError):  # the library is gone
        pass
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(0)


def _detach() -> None:
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a handler would let anybody inside signal process 1
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    prctl(PR_SET_DUMPABLE, 0)


def _settle(modules: list[str]) -> Contained:
    os.environ.clear()
    preimport.load(modules)
    one_malloc_arena()
    if others := work.writable_beside(WORK):
        raise PermissionError(f"what is written to {', '.join(others)} would outlive a run")
    os.chdir(WORK)
    work.wipe(WORK)
    if not _has_pidfd():
        os.pidfd_open = _never_ready
    return Contained(b"" if _filtered() else seccomp.program(own_root=True))


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def _never_ready(pid: int, flags: int = 0) -> int:
    """In the place of a pidfd where the kernel has none (gVisor): the end is then seen at the watch's next look."""
    return os.eventfd(0)


def _filtered() -> bool:
    """Whether the engine's seccomp profile is in force: it denies what nothing else here would."""
    try:
        socket.socket(socket.AF_UNIX).close()
    except OSError as error:
        return error.errno == errno.EPERM
    return False


def _hello(wire: Wire, problem: str) -> None:
    body = json.dumps({"error": problem[:4000], "version": sys.version.split()[0]}).encode()
    wire.sendall(_HELLO.pack(len(body)) + body)


def _serve(wire: Wire, ground: Contained, lifeline: int) -> None:
    connection = cast(socket.socket, wire)
    desk, in_session = Bench(ground, (lifeline, lifeline)), False
    wire.sendall(READY)
    while True:
        if read_exactly(connection, 1) == RUN:
            job = read_job(connection)
            in_session = in_session or job.mode != ONCE
            wire.sendall(desk.run(job).pack())
        else:
            in_session = False
        if not in_session:
            desk.clear(ground)
            work.wipe(WORK)
            desk.refill(ground)
            wire.sendall(READY)
