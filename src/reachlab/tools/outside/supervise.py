"""Runs one command and ends everything that the command started, whichever way it or its owner ends.

Command: ``python -I -S supervise.py OWNER GRACE TELL COMMAND...`` (standard library only, 13 ms). *OWNER* is what
started it; when that is gone, or on SIGTERM, the command gets SIGTERM, *GRACE* seconds, then SIGKILL. Processes
that the command left behind come to this one (it is a subreaper), daemons in sessions of their own too, and are
killed. It exits as the command did: its exit code, or 128 + the signal that killed it; with *TELL*
1, a command that ended by itself has this as its last line on standard error, before its standard output closes.

SIGKILL of this process itself leaves daemons of other process groups alive: end it with SIGTERM. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_ENDING = {signal.SIGTERM, signal.SIGHUP, signal.SIGINT}
_WATCHED = _ENDING | {signal.SIGCHLD}
_TAKEN_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores them, and what is ignored stays ignored across exec."""


def supervised(command: list[str], grace: float, *, tell: bool = False) -> list[str]:
    """The command line that runs *command* under supervision, owned by this process.

    Start it from a thread that lives as long as the process: the kernel counts the thread as the parent.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(grace), str(int(tell)), *command]


def main(owner: int, grace: float, tell: bool, command: list[str]) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != owner:  # gone before it could be noticed
        return 128 + signal.SIGTERM
    child = _start(command)
    # The other ends of the command's pipes must see them close when the command ends; with the exit code, after it.
    os.closerange(0, 1)
    os.closerange(3 if tell else 1, 1024)
    status = _watch(child)
    if tell and status is not None:
        _tell(status)
    if status is None:
        status = _ask(child, grace)
    _kill_children()
    return _exit_code(status)


def _start(command: list[str]) -> int:
    child = os.fork()  # this process has one thread
    if child:
        return child
    try:
        for taken in _TAKEN_BY_PYTHON:
            signal.signal(taken, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _watch(child: int) -> int | None:
    """The wait status of *child* when it ends, or None when this process is told to end."""
    while signal.sigwait(_WATCHED) == signal.SIGCHLD:
        status = _reap(child)
        if status is not None:
            return status
    return None


def _reap(child: int) -> int | None:
    """Collect whoever has ended; the wait status of *child* if it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def _tell(status: int) -> None:
    code = os.waitstatus_to_exitcode(status)
    how = f"exited with code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
    with contextlib.suppress(OSError):  # nobody listens
        os.write(2, f"\n{how}\n".encode())


def _ask(child: int, grace: float) -> int:
    deadline = time.monotonic() + grace
    if grace > 0:
        os.kill(child, signal.SIGTERM)
    while (left := deadline - time.monotonic()) > 0:
        signal.sigtimedwait([signal.SIGCHLD], left)
        status = _reap(child)
        if status is not None:
            return status
    return int(signal.SIGKILL)


def _kill_children() -> None:
    """Until none is left: children of the killed become children of this process."""
    while children := _children():
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    mine, found = str(os.getpid()), []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                after_name = Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            if after_name[1] == mine:
                found.append(int(entry))
    return found


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "1", sys.argv[4:]))
