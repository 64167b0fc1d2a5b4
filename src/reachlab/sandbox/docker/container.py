"""One warm container: started, spoken to, ended.

Not covered: which container serves which run (``sandbox``).
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from reachlab.errors import ToolFault
from reachlab.sandbox.docker import owners, payload
from reachlab.sandbox.docker.engine import faults, sdk
from reachlab.sandbox.docker.options import Shape, container_options, host_options, ulimits
from reachlab.sandbox.docker.stream import Attached
from reachlab.sandbox.jail.inside.protocol import Job, Report, read_exactly, read_report

START_SECONDS = 60.0
GRACE_SECONDS = 5.0
"""Beyond the wall limit, before a worker that says nothing is ended from outside."""
_HEADERS = 256
_NO_LIMITS = ("memory limit", "pids limit")
_RUN, _WIPE, _READY = b"R", b"W", b"+"


class Container:
    """A worker in its container. ``usable`` turns false when it cannot take another run."""

    def __init__(self, client: Any, image: str, runtime: str | None, preimport: Sequence[str], shape: Shape) -> None:
        self.shape, self.usable = shape, True
        self._client, self._started = client, time.time()
        self._id = ""
        with faults("starting a container"):
            try:
                self._id = _create(client, image, runtime, bool(preimport), shape)
                streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
                self._stream = Attached(client.api.attach_socket(self._id, params=streams))
                client.api.start(self._id)
                self._greet(preimport)
            except BaseException:
                self._abandon()
                raise

    def run(self, job: Job) -> Report:
        """What the job did. ``ToolFault`` if the container fails for any other reason than the job's memory."""
        limits, start = job.limits, time.monotonic()
        self._stream.expect(limits.wall_seconds + GRACE_SECONDS, 2 * limits.output_bytes + _HEADERS)
        try:
            self._stream.sendall(_RUN + job.pack())
            return read_report(self._connection)
        except TimeoutError:  # it keeps the worker from its work, by load: no way to escape being scored
            limit = "wall"
        except (OSError, EOFError) as error:
            if not self._ran_out_of_memory():
                said = self._said()
                self._abandon()
                raise ToolFault(f"the container ended while code ran in it{said} ({error})") from error
            limit = "memory"
        self._abandon()
        return Report(None, limit, time.monotonic() - start, 0.0, 0, b"", b"")

    def wipe(self) -> None:
        """End a session: the next run finds nothing of it."""
        try:
            self._stream.expect(GRACE_SECONDS, 0)
            self._stream.sendall(_WIPE)
        except OSError:
            self.usable = False

    def ready(self) -> bool:
        """Whether it takes a run of somebody new; waits until the last one's traces are gone."""
        try:
            self._stream.expect(GRACE_SECONDS, 1)
            return self.usable and self._stream.recv(1) == _READY and not self._stream.ended()
        except OSError:
            return False

    def alive(self) -> bool:
        """Whether it takes the next run of its session."""
        return self.usable and not self._stream.ended()

    def let_go(self) -> None:
        """The worker ends with its input, and the engine removes the container; nobody waits for that."""
        self.usable = False
        self._stream.close()

    def remove(self) -> None:
        """Kill and remove, and wait until that is done."""
        self.let_go()
        with suppress(ToolFault), faults("removing a container"):
            owners.remove(self._client, self._id)

    @property
    def _connection(self) -> socket.socket:
        return cast(socket.socket, self._stream)

    def _greet(self, preimport: Sequence[str]) -> None:
        self._stream.expect(START_SECONDS, 1 << 16)
        try:
            self._stream.sendall(payload.message(preimport))
            size = int.from_bytes(read_exactly(self._connection, 4), "big")
            problem = json.loads(read_exactly(self._connection, size))["error"]
        except (EOFError, ValueError) as error:
            raise ToolFault(f"the worker did not start in the container{self._said()}") from error
        if problem:
            raise ToolFault(f"the worker did not start in the container: {problem}")

    def _said(self) -> str:
        words = self._stream.last_words()
        return f": {words}" if words else ""

    def _ran_out_of_memory(self) -> bool:
        """Whether the kernel killed the worker for what the run took: the engine noted it, though all is gone."""
        wanted = {"container": self._id, "event": ["oom", "die"]}
        seen: set[str] = set()
        with faults("asking why a container ended"):
            for _ in range(20):
                now = time.time()
                events = self._client.api.events(since=self._started - 1, until=now, filters=wanted, decode=True)
                seen |= {event.get("Action", "") for event in events}
                if {"oom", "die"} <= seen:
                    break
                time.sleep(0.05)
        return "oom" in seen

    def _abandon(self) -> None:
        self.usable = False
        if hasattr(self, "_stream"):
            self._stream.close()
        if self._id:
            with suppress(ToolFault), faults("removing a container"):
                owners.remove(self._client, self._id)


def _create(client: Any, image: str, runtime: str | None, preimport: bool, shape: Shape) -> str:
    limits = [sdk().types.Ulimit(name=name, soft=most, hard=most) for name, most in ulimits(shape).items()]
    host = client.api.create_host_config(**host_options(shape, runtime, preimport), ulimits=limits,
                                         log_config=sdk().types.LogConfig(type="none"))  # fmt: skip
    made = client.api.create_container(
        image, entrypoint=["python3", "-I", "-c", payload.BOOT], labels=owners.labels(), host_config=host,
        **container_options(),
    )  # fmt: skip
    lost = [w for w in made.get("Warnings") or () if "discarded" in w and any(n in w for n in _NO_LIMITS)]
    if lost:
        owners.remove(client, made["Id"])
        raise ToolFault(f"this engine does not enforce what a sandbox needs: {'; '.join(lost)}")
    return str(made["Id"])
