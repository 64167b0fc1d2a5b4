"""A container's standard streams over one attached socket, with the methods of a socket that the protocol uses.

The engine puts eight bytes before each piece of output: which stream, and how long. Standard output is the answer;
standard error is kept for the message of a fault.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from contextlib import suppress
from typing import Any

_HEADER = struct.Struct(">BxxxI")
_ERRORS = 2
_CHUNK = 1 << 16
_KEPT, _SHOWN = 4000, 400
_LAST_SECONDS = 0.5


class Attached:
    """Both directions. ``expect`` bounds the next answer in time and size: nothing else about it is trusted."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw  # keeps the SDK's response alive
        self._socket: socket.socket = getattr(raw, "_sock", raw)
        self._answer, self._pending = bytearray(), bytearray()
        self._deadline, self._left = 0.0, 0
        self.errors = b""

    def expect(self, seconds: float, most: int) -> None:
        self._deadline, self._left = time.monotonic() + seconds, most

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(max(0.001, self._deadline - time.monotonic()))
        self._socket.sendall(data)

    def recv(self, size: int) -> bytes:
        """Up to *size* bytes of the answer; empty where the container has ended."""
        while not self._answer:
            if not self._receive():
                return b""
        taken = bytes(self._answer[:size])
        del self._answer[: len(taken)]
        self._left -= len(taken)
        if self._left < 0:
            raise OSError("the answer is longer than the limits allow")
        return taken

    def ended(self) -> bool:
        """Between two runs: the container has said something, which it should not, or is gone."""
        return bool(self._answer or self._pending or select.select([self._socket], [], [], 0)[0])

    def last_words(self) -> str:
        """The end of standard error, once the container has ended."""
        self.expect(_LAST_SECONDS, 0)
        with suppress(OSError):
            while self._receive():
                pass
        return self.errors.decode(errors="replace").strip()[-_SHOWN:]

    def close(self) -> None:
        """The worker's standard input is then at its end, and the container with it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._raw.close()

    def _receive(self) -> bool:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self._socket.settimeout(left)
        data = self._socket.recv(_CHUNK)
        self._pending += data
        while len(self._pending) >= _HEADER.size:
            stream, size = _HEADER.unpack_from(self._pending)
            end = _HEADER.size + size
            if len(self._pending) < end:
                break
            piece = self._pending[_HEADER.size : end]
            if stream == _ERRORS:
                self.errors = (self.errors + piece)[-_KEPT:]
            else:
                self._answer += piece
            del self._pending[:end]
        return bool(data)
