"""JSON messages over a socket, each with its length before it; every wait has a deadline.

Not covered: more than 4 GiB in one message.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

from reachlab import Json

_LENGTH = struct.Struct("!I")


def send(connection: socket.socket, message: Any, deadline: float | None = None) -> None:
    """Raises TimeoutError past *deadline* (of ``time.monotonic``), OSError if nobody is there."""
    body = json.dumps(message).encode()
    connection.settimeout(_left(deadline))
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket, deadline: float | None = None) -> Json:
    """Like ``send``; EOFError if the other side ended."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size, deadline))
    message: Json = json.loads(_exactly(connection, length, deadline))
    return message


def _exactly(connection: socket.socket, size: int, deadline: float | None) -> bytes:
    parts, missing = [], size
    while missing:
        connection.settimeout(_left(deadline))
        part = connection.recv(min(missing, 2**20))
        if not part:
            raise EOFError("the other side closed the connection")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:  # a timeout of 0 would mean "do not block"
        raise TimeoutError
    return left
