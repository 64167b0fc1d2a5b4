"""A supervisor's end of one untrusted child: its process, its two output streams, and the channel of its jobs."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress

from . import runner
from .grounds import Ground
from .runner import BEGUN

_CHUNK = 65536
_MOST_READS = 64
"""Of a pipe nobody writes to any more: it holds 1 MB at most."""


class Child:
    """A child that waits for its job, and this end of its pipes."""

    def __init__(self, ground: Ground, null: int) -> None:
        out, out_child = os.pipe()
        err, err_child = os.pipe()
        self.channel, channel_child = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            runner.main(ground, null, out_child, err_child, channel_child.detach())
        for descriptor in (out_child, err_child):
            os.close(descriptor)
        channel_child.close()
        self.streams = {out: bytearray(), err: bytearray()}
        for descriptor in self.streams:
            os.set_blocking(descriptor, False)
        self.nonce, self._said, self.begun = b"", b"", False

    def address(self, nonce: bytes) -> None:
        """The next run answers with this."""
        self.nonce, self._said = nonce, b""

    def take(self, cap: int) -> list[bytes]:
        """What was written so far, each stream up to the cap."""
        taken = [bytes(data[:cap]) for data in self.streams.values()]
        for data in self.streams.values():
            data.clear()
        return taken

    def read(self, descriptor: int, cap: int) -> bool | None:
        """One chunk: None at the end, True if the stream is over its cap, of which no more than a byte is kept."""
        data = self.streams[descriptor]
        try:
            chunk = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        data += chunk[: max(0, cap + 1 - len(data))]
        return len(data) > cap if chunk else None

    def drain(self, cap: int) -> bool:
        """What is in the pipes, once nobody writes any more; True if there was too much."""
        over = False
        for descriptor in self.streams:
            for _ in range(_MOST_READS):
                before = len(self.streams[descriptor])
                state = self.read(descriptor, cap)
                over = over or bool(state)
                if state is None or len(self.streams[descriptor]) == before:
                    break
        return over

    def done(self) -> bytes:
        """The two bytes with which a session's interpreter ends a run, or nothing."""
        with suppress(OSError):
            self._said = self._said[-_CHUNK:] + self.channel.recv(_CHUNK, socket.MSG_DONTWAIT)
        self.begun = self.begun or BEGUN in self._said
        _, nonce, code = self._said.partition(self.nonce)  # whatever else it says is noise
        return code[:2] if nonce and len(code) >= 2 else b""

    def gone(self) -> bool:
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def close(self) -> None:
        for descriptor in self.streams:
            os.close(descriptor)
        self.channel.close()
