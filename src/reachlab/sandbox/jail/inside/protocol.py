"""Length-prefixed binary messages between the library, the zygote and the supervisors.

The library speaks to the zygote in one datagram a request (a descriptor goes with it), to each supervisor in a stream
of its own: a ``Job`` there, a ``Report`` back. Untrusted code holds no end of either.
Not covered: versions; both ends come from one installation.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

ONCE, SESSION = 0, 1
PYTHON, SHELL = 0, 1
LIMITS = ("", "wall", "cpu", "memory", "processes", "files", "written", "output")

_JOB = struct.Struct("<BBddQIIQQI")
_REPORT = struct.Struct("<?iBddQII")


class Limits(NamedTuple):
    """The library's ``SandboxLimits``, field by field."""

    wall_seconds: float
    cpu_seconds: float
    memory_bytes: int
    processes: int
    files: int
    written_bytes: int
    output_bytes: int


class Job(NamedTuple):
    """Code to run; ``mode`` says whether the interpreter lives on."""

    mode: int
    language: int
    limits: Limits
    code: bytes

    def pack(self) -> bytes:
        return _JOB.pack(self.mode, self.language, *self.limits, len(self.code)) + self.code


class Report(NamedTuple):
    """What a job did, as its supervisor saw it. ``exit_code`` is None where a limit ended it."""

    exit_code: int | None
    limit: str
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    stdout: bytes
    stderr: bytes

    def pack(self) -> bytes:
        code, times = self.exit_code, (self.wall_seconds, self.cpu_seconds, self.peak_bytes)
        sizes = (len(self.stdout), len(self.stderr))
        head = _REPORT.pack(code is not None, code or 0, LIMITS.index(self.limit), *times, *sizes)
        return head + self.stdout + self.stderr


def read_job(connection: socket.socket) -> Job:
    mode, language, *limits, size = _JOB.unpack(read_exactly(connection, _JOB.size))
    return Job(mode, language, Limits(*limits), read_exactly(connection, size))


def read_report(connection: socket.socket) -> Report:
    ended, code, limit, wall, cpu, peak, out, err = _REPORT.unpack(read_exactly(connection, _REPORT.size))
    stdout = read_exactly(connection, out)
    return Report(code if ended else None, LIMITS[limit], wall, cpu, peak, stdout, read_exactly(connection, err))


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """``EOFError`` if the other end is gone."""
    data = bytearray()
    while len(data) < size:
        more = connection.recv(min(size - len(data), 1 << 20))
        if not more:
            raise EOFError("the other end is gone")
        data += more
    return bytes(data)
