"""The library's end of one zygote: starts it, asks it for supervisors, keeps some ready, ends them all.

Not covered: which tier to ask for (``tiers``), what to run (``jail``).
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from reachlab.errors import ToolFault
from reachlab.sandbox.jail.groups import Group, Groups
from reachlab.sandbox.jail.inside.protocol import Job, Report, read_report

START_SECONDS = 60.0
GRACE_SECONDS = 15.0
"""Beyond the wall limit, before a supervisor that says nothing counts as dead."""

END_SECONDS = 2.0
"""For a zygote to end by itself."""

# Says nothing about this machine: the code can read its command line.
_BOOT = "import os; exec(os.read(0, 65536))"


def default_python() -> str:
    """The interpreter below this one's virtual environment, if it is in one."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


class Worker:
    """A supervisor and what it watches: one run, or the runs of one session."""

    def __init__(self, connection: socket.socket, group: Group | None) -> None:
        self._connection, self.group = connection, group

    def alive(self) -> bool:
        return not select.select([self._connection], [], [], 0)[0]

    def run(self, job: Job) -> Report:
        if self.group is not None:
            self.group.limit(job.limits)
        self._connection.settimeout(job.limits.wall_seconds + GRACE_SECONDS)
        self._connection.sendall(job.pack())
        return read_report(self._connection)

    def close(self) -> None:
        self._connection.close()


class Engine:
    """One zygote with a pool of ``size`` supervisors. Belongs to the process that made it, and *groups* to it."""

    def __init__(self, tier: str, preimport: Sequence[str], size: int, python: str, groups: Groups | None) -> None:
        self.owner, self.tier, self._groups = os.getpid(), tier, groups
        self._size, self._pool, self._out = size, deque[Worker](), set[Worker]()
        self._problem = ""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lifeline = os.pidfd_open(self.owner)
        try:
            self._process = subprocess.Popen(
                [python, "-I", "-S", "-c", _BOOT],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                pass_fds=(lifeline, *self._folders()),
                start_new_session=True,
            )
            self._introduce(lifeline, preimport)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError | EOFError):
                raise ToolFault(f"the zygote of tier {tier} did not start with {python}: {error}") from error
            raise
        finally:
            theirs.close()
            os.close(lifeline)

    def _introduce(self, lifeline: int, preimport: Sequence[str]) -> None:
        here = str(Path(__file__).resolve().parent)
        boot = f"import sys; sys.path.insert(0, {here!r}); from inside.zygote import main; main({here!r}, {lifeline})"
        path = [folder for folder in sys.path if "site-packages" in folder or "dist-packages" in folder]
        setting = {
            "tier": self.tier,
            "preimport": list(preimport),
            "path": path if preimport else [],
            "library": self.owner,
            "folders": self._folders(),
            "groups": self._groups.prefix if self._groups else "",
        }
        self._control.settimeout(START_SECONDS)
        self._control.send(boot.encode())
        self._control.send(json.dumps(setting).encode())
        answer = self._control.recv(1 << 16)
        if not answer:
            raise EOFError("it ended at once")
        problem = json.loads(answer)["error"]
        if problem:
            raise ToolFault(f"tier {self.tier}: {problem}")

    def _folders(self) -> list[int]:
        return self._groups.folders if self._groups else []

    def alive(self) -> bool:
        return self._process.poll() is None

    def take(self) -> Worker:
        """A supervisor, from the pool if one is ready; the pool is filled up behind it."""
        if not self.alive():
            raise ToolFault(f"the zygote of {self.tier} is gone (exit {self._process.returncode})")
        while self._pool:
            worker = self._pool.popleft()
            if worker.alive():
                break
            self._end(worker)
        else:
            worker = self._spawn()
        self._out.add(worker)
        with suppress(ToolFault):  # this one may still run
            self.fill()
        return worker

    def fill(self) -> None:
        while len(self._pool) < self._size:
            self._pool.append(self._spawn())

    def done(self, worker: Worker) -> None:
        self._out.discard(worker)
        self._end(worker)

    def _end(self, worker: Worker) -> None:
        worker.close()
        if self._groups is not None and worker.group is not None:
            self._groups.give_back(worker.group)

    def _spawn(self) -> Worker:
        group = self._groups.take() if self._groups else None
        ours, theirs = socket.socketpair()
        worker = Worker(ours, group)
        with theirs:
            try:
                socket.send_fds(self._control, [b"+"], [theirs.fileno(), *(group.descriptors if group else ())])
                self._read_answers()
            except OSError as error:
                self._end(worker)
                raise ToolFault(f"the zygote of {self.tier} takes no orders: {error}") from error
        return worker

    def _read_answers(self) -> None:
        """Keep the last complaint: a supervisor that could not be made shows as one that is gone."""
        while select.select([self._control], [], [], 0)[0]:
            answer = self._control.recv(4096)
            if not answer:
                break
            if not answer.startswith(b"+"):
                self._problem = answer[1:].decode(errors="replace")

    def problem(self) -> str:
        if self._control.fileno() < 0:
            return "the jail is closed"
        with suppress(OSError):
            self._read_answers()
        return self._problem or ("the zygote is gone" if not self.alive() else "")

    def close(self) -> None:
        """End everything; in a fork of the owner, only let go."""
        owned = os.getpid() == self.owner
        if owned:
            with suppress(OSError):  # also of the copies that forks hold
                self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        for worker in [*self._pool, *self._out]:
            worker.close()
        self._pool.clear()
        self._out.clear()
        process: subprocess.Popen[bytes] | None = getattr(self, "_process", None)
        if process is not None:
            _reap(process, owned)
        if self._groups is not None:
            self._groups.remove() if owned else self._groups.let_go()
        self._groups = None


def _reap(process: subprocess.Popen[bytes], owned: bool) -> None:
    """It ends by itself when its socket is shut, and removes the control groups; one that does not is killed."""
    if not owned:
        process.returncode = 0
        return
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
