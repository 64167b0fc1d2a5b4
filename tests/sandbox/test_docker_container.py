"""What is said between the library and a container, with an engine that only pretends."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reachlab import SandboxLimits
from reachlab.errors import ToolFault
from reachlab.sandbox import request
from reachlab.sandbox.docker import options, payload
from reachlab.sandbox.docker.container import Container
from reachlab.sandbox.docker.stream import Attached
from reachlab.sandbox.jail.inside.protocol import ONCE, Report

SHAPE = options.Shape(memory_bytes=64 << 20, processes=8, files=100, written_bytes=10_000)


def frame(data: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxI", stream, len(data)) + data


@pytest.fixture
def ends() -> Iterator[tuple[Attached, socket.socket]]:
    """The library's end of an attached socket, and the engine's."""
    ours, theirs = socket.socketpair()
    attached = Attached(ours)
    attached.expect(5, 1 << 20)
    with theirs:
        yield attached, theirs
        attached.close()


class Engine:
    """As much of the SDK's low-level client as a container needs; its worker has said all it will say."""

    def __init__(self, says: bytes, events: tuple[str, ...] = (), warnings: tuple[str, ...] = ()) -> None:
        self.api, self.removed = self, list[str]()
        self._events, self._warnings = events, warnings
        self._ours, self._theirs = socket.socketpair()
        self.say(says)

    def say(self, what: bytes) -> None:
        self._theirs.sendall(what)

    def create_host_config(self, **given: Any) -> dict[str, Any]:
        return given

    def create_container(self, image: str, **given: Any) -> dict[str, Any]:
        return {"Id": "c1", "Warnings": self._warnings}

    def attach_socket(self, container: str, params: dict[str, int]) -> socket.socket:
        return self._ours

    def start(self, container: str) -> None:
        pass

    def die(self) -> None:
        self._theirs.close()

    def close(self) -> None:
        self._theirs.close()
        self._ours.close()

    def events(self, **given: Any) -> list[dict[str, str]]:
        return [{"Action": action} for action in self._events]

    def remove_container(self, container: str, **given: Any) -> None:
        self.removed.append(container)


def hello(problem: str = "") -> bytes:
    body = json.dumps({"error": problem}).encode()
    return frame(struct.pack(">I", len(body)) + body + b"+")


Says = Callable[..., Engine]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Says]:
    """Makes engines; the SDK's errors are needed where a container fails."""
    monkeypatch.setattr(payload, "_sources", dict)  # nobody reads them
    pytest.importorskip("docker", reason="the docker SDK is not installed (extra docker)")
    made: list[Engine] = []

    def make(says: bytes, events: tuple[str, ...] = (), warnings: tuple[str, ...] = ()) -> Engine:
        made.append(Engine(says, events, warnings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def started(engine: Engine) -> Container:
    return Container(engine, "image", None, (), SHAPE)


def job() -> Any:
    return request.job(ONCE, "1", SandboxLimits(wall_seconds=0.1), "python")


def test_output_is_put_together_from_frames(ends: tuple[Attached, socket.socket]) -> None:
    attached, theirs = ends
    for byte in frame(b"ab") + frame(b"oops", 2) + frame(b"") + frame(b"cd"):
        theirs.sendall(bytes([byte]))
    found = b""
    while len(found) < 4:
        found += attached.recv(10)
    assert found == b"abcd" and attached.errors == b"oops" and not attached.ended()
    theirs.sendall(frame(b"unasked"))
    assert attached.ended()


def test_an_answer_is_bounded_in_size_and_time(ends: tuple[Attached, socket.socket]) -> None:
    attached, theirs = ends
    attached.expect(0.05, 3)
    with pytest.raises(TimeoutError):
        attached.recv(1)
    attached.expect(5, 3)
    theirs.sendall(frame(b"four"))
    with pytest.raises(OSError, match="longer"):
        attached.recv(10)


def test_the_end_of_a_container_is_an_empty_answer(ends: tuple[Attached, socket.socket]) -> None:
    attached, theirs = ends
    theirs.close()
    assert attached.ended() and attached.recv(1) == b""


def test_a_report_comes_back_as_a_result(engine: Says) -> None:
    it = engine(hello())
    container = started(it)
    assert container.ready()
    it.say(frame(Report(3, "", 0.5, 0.25, 1000, b"out", b"err").pack()))
    found = request.result(container.run(job()), "docker-test")
    assert (found.stdout, found.stderr, found.exit_code, found.limit) == (b"out", b"err", 3, "")
    assert (found.wall_seconds, found.cpu_seconds, found.peak_bytes, found.tier) == (0.5, 0.25, 1000, "docker-test")
    container.remove()
    assert it.removed == ["c1"] and not container.ready()


def test_a_worker_killed_for_memory_is_the_limit_memory(engine: Says) -> None:
    it = engine(hello(), events=("oom", "die"))
    container = started(it)
    assert container.ready()
    it.die()
    assert container.run(job()).limit == "memory"
    assert not container.usable and it.removed == ["c1"]


def test_a_worker_that_ends_otherwise_is_a_fault(engine: Says) -> None:
    it = engine(hello(), events=("die",))
    container = started(it)
    assert container.ready()
    it.say(frame(b"what it said", 2))
    it.die()
    with pytest.raises(ToolFault, match="what it said"):
        container.run(job())
    assert not container.usable and it.removed == ["c1"]


def test_a_worker_that_says_nothing_is_ended(engine: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reachlab.sandbox.docker.container.GRACE_SECONDS", 0.05)
    it = engine(hello())
    container = started(it)
    assert container.ready()
    assert container.run(job()).limit == "wall"
    assert not container.usable and it.removed == ["c1"]


def test_a_worker_that_cannot_start_says_why(engine: Says) -> None:
    it = engine(hello("ModuleNotFoundError: no numpy"))
    with pytest.raises(ToolFault, match="no numpy"):
        started(it)
    assert it.removed == ["c1"]


def test_an_engine_without_limits_is_refused(engine: Says) -> None:
    warning = "Your kernel does not support memory limit capabilities. Limitation discarded."
    it = engine(hello(), warnings=(warning,))
    with pytest.raises(ToolFault, match="does not enforce"):
        started(it)
    assert it.removed == ["c1"]
