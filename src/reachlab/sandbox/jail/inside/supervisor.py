"""Watches one untrusted child from outside it, enforces the limits, and reports to the library.

It takes one job, or the jobs of one session; it dies with the library, and what it watches dies with it. The code it
watches holds no descriptor of the connection to the library, and may not trace, signal or read this process.
Not covered: what only the kernel can enforce; the tier (``grounds``) sets that.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress

from . import usage
from .child import Child as Child  # also for backends with a desk of their own
from .grounds import Ground
from .protocol import ONCE, SHELL, Job, Report, read_job
from .runner import NONCE, OUT_OF_MEMORY

POLL_SECONDS = 0.025
_FIRST_POLL_SECONDS = 0.002
_SLOWER = 1.3
"""Each pause is this much longer than the one before: most of what a run does, it does in its first milliseconds."""
_SIGNALS = {signal.SIGXCPU: "cpu", signal.SIGXFSZ: "written", OUT_OF_MEMORY: "memory"}


class Watch:
    """One run: the loop that reads, counts and decides."""

    def __init__(self, ground: Ground, child: Child, job: Job, lifelines: tuple[int, int], spare: int) -> None:
        self.ground, self.child, self.job, self.spare = ground, child, job, spare
        self.lifelines = lifelines
        self.limit, self.done, self.peak, self.kept = "", b"", 0, False
        self.status: int | None = None
        self.started = time.monotonic()
        self.cpu_before = self._cpu(usage.measure(self._pids()))

    def run(self) -> Report:
        limits, child, poller = self.job.limits, self.child, select.poll()
        pidfd = os.pidfd_open(child.pid)
        session = [] if self.job.mode == ONCE else [child.channel.fileno()]
        for descriptor in [*child.streams, pidfd, *session, *self.lifelines]:
            poller.register(descriptor, select.POLLIN)
        pause = _FIRST_POLL_SECONDS
        next_look = self.started + pause
        try:
            self._send()
            while not self.limit and self.status is None and not self.done:
                now = time.monotonic()
                wait = min(next_look, self.started + limits.wall_seconds) - now
                for descriptor, _ in poller.poll(max(0.0, wait * 1000)):
                    self._event(descriptor, pidfd, poller)
                if time.monotonic() - self.started >= limits.wall_seconds:
                    self.limit = self.limit or "wall"
                if time.monotonic() >= next_look:
                    self._look()
                    pause = min(POLL_SECONDS, _SLOWER * pause)
                    next_look = time.monotonic() + pause
        finally:
            os.close(pidfd)
        return self._report()

    def _send(self) -> None:
        self.child.address(os.urandom(NONCE))
        self.child.channel.settimeout(self.job.limits.wall_seconds)
        try:
            self.child.channel.sendall(self.child.nonce + self.job.pack())
        except TimeoutError:
            self.limit = "wall"
        except OSError:  # it has just ended: seen as such below
            pass

    def _event(self, descriptor: int, pidfd: int, poller: select.poll) -> None:
        child = self.child
        if descriptor in self.lifelines:
            self.ground.end()
            os._exit(0)
        elif descriptor in child.streams:
            state = child.read(descriptor, self.job.limits.output_bytes)
            if state is None:
                poller.unregister(descriptor)
            elif state:
                self.limit = "output"
        elif descriptor == pidfd:
            self._reap()
        else:
            self.done = child.done()
            if not self.done:
                time.sleep(0.001)  # noise on the channel may not make this loop spin

    def _reap(self) -> None:
        """Collect what has ended, orphans too."""
        with suppress(ChildProcessError):
            while True:
                pid, status, spent = os.wait4(-1, os.WNOHANG)
                if not pid:
                    return
                if pid == self.child.pid:
                    self.status = status
                    self.peak = max(self.peak, spent.ru_maxrss * 1024)

    def _pids(self) -> list[int]:
        return [pid for pid in self.ground.pids() if pid != self.spare]

    def _cpu(self, used: usage.Usage) -> float:
        return used.cpu_seconds + usage.reaped_cpu()

    def _look(self) -> float:
        """Compare what is used with what is allowed. The processor time used so far."""
        self._reap()
        limits = self.job.limits
        exceeded = self.ground.overrun(limits)
        if exceeded == "memory":  # at the kernel's cap nothing is opened in time, so nobody is looked at
            self.limit = self.limit or exceeded
            return self.cpu_before
        pids = self._pids()
        used = usage.measure(pids)
        if used.memory_bytes > limits.memory_bytes:
            used = used._replace(memory_bytes=self.ground.memory(pids))
        self.peak = max(self.peak, used.memory_bytes)
        cpu, tasks = self._cpu(used), used.tasks + (self.status is not None)
        if self.job.mode == ONCE:  # in a session they pile up: its interpreter may never wait for what was killed
            tasks += used.zombies
        if used.memory_bytes > limits.memory_bytes:
            self.limit = self.limit or "memory"
        elif tasks > limits.processes:
            self.limit = self.limit or "processes"
        elif cpu - self.cpu_before > limits.cpu_seconds:
            self.limit = self.limit or "cpu"
        else:
            self.limit = self.limit or exceeded
        return cpu

    def _report(self) -> Report:
        wall = time.monotonic() - self.started
        if self.done and self.done[1]:
            self.limit = self.limit or "memory"
        cpu = self._look()
        self.kept = self._stop()
        if not self.limit and self.status is not None and os.WIFSIGNALED(self.status):
            self.limit = _SIGNALS.get(os.WTERMSIG(self.status), "")
        cap = self.job.limits.output_bytes
        if self.child.drain(cap) and not self.limit:
            self.limit = "output"
        if not self.kept:
            cpu = max(cpu, usage.reaped_cpu())
        if not self.limit and not self.done:
            self.child.done()
            if not self.child.begun:
                raise ChildProcessError("the child ended before its job began")
        stdout, stderr = self.child.take(cap)
        code = None if self.limit else self._exit_code()
        return Report(code, self.limit, wall, max(0.0, cpu - self.cpu_before), self.peak, stdout, stderr)

    def _stop(self) -> bool:
        """End what still runs. A session's interpreter is only stopped, unless a limit ended the run."""
        if self.done and not self.limit:
            os.kill(self.child.pid, signal.SIGSTOP)
            self.ground.kill(self.child.pid)
            os.kill(self.child.pid, signal.SIGSTOP)  # what was still running may have woken it
            self._reap()
            return True
        self.ground.kill(self.spare)
        while self.status is None:
            _, self.status, spent = os.wait4(self.child.pid, 0)
            self.peak = max(self.peak, spent.ru_maxrss * 1024)
        if not self.spare:
            with suppress(ChildProcessError):
                while True:
                    os.wait4(-1, 0)
        return False

    def _exit_code(self) -> int | None:
        if self.done:
            return self.done[0]
        return None if self.status is None else os.waitstatus_to_exitcode(self.status)


class Desk:
    """The children of one supervisor: the next one, ready, and the interpreter of a session, stopped between runs."""

    def __init__(self, ground: Ground, lifelines: tuple[int, int]) -> None:
        self._ground, self._lifelines = ground, lifelines
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._ready: Child | None = Child(ground, self._null)
        self._resident: Child | None = None

    def run(self, job: Job) -> Report:
        self._ground.open_work(job.limits)
        self._bury()
        if job.language == SHELL:
            job = job._replace(mode=ONCE)
        resident = self._resident
        if resident is not None and job.mode != ONCE:
            os.kill(resident.pid, signal.SIGCONT)
            child, spare = resident, 0
        else:
            ready, self._ready = self._ready, None
            child, spare = ready or Child(self._ground, self._null), resident.pid if resident else 0
        watch = Watch(self._ground, child, job, self._lifelines, spare)
        report = watch.run()
        if watch.kept:
            self._resident = child
        else:
            child.close()
            self._resident = None if child is resident else resident
        return report

    def _bury(self) -> None:
        """A child that died while it waited is none."""
        if self._resident is not None and self._resident.gone():
            self._resident.close()
            self._resident = None
        if self._ready is not None and self._ready.gone():
            self._ready.close()
            self._ready = None


def serve(control: socket.socket, parent: int, ground: Ground) -> None:
    """Take jobs until the session ends; never returns. *parent* is a pidfd of the library's process."""
    try:
        desk = Desk(ground, (control.fileno(), parent))
        while parent not in select.select((control.fileno(), parent), (), ())[0]:
            job = read_job(control)
            control.sendall(desk.run(job).pack())
            if job.mode == ONCE:
                break
    except (EOFError, OSError):  # the library is gone; or we are, for want of resources, which it will see
        pass
    finally:
        ground.end()
        os._exit(0)
