"""The last words of a server process, for the error that says why it failed.

Not covered: keeping all of it; a server that has much to say should write a file.
"""

from __future__ import annotations

import asyncio
import os
from typing import TextIO

KEPT_BYTES = 4096
SHOWN_LINES = 3


class Tail:
    """Reads what is written to ``stream`` and keeps the end of it. Made and closed in the event loop."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        self.stream: TextIO = os.fdopen(write, "w")
        self._kept = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read, self._drain)

    @property
    def text(self) -> str:
        """The last lines, in one, or the empty string."""
        self._drain()
        lines = [line.strip() for line in self._kept.decode("utf-8", "replace").splitlines()]
        return " | ".join([line for line in lines if line][-SHOWN_LINES:])

    def close(self) -> None:
        self._drain()
        self._loop.remove_reader(self._read)
        self.stream.close()
        os.close(self._read)
        self._read = -1

    def _drain(self) -> None:
        try:
            while self._read >= 0 and (read := os.read(self._read, 65536)):
                self._kept = (self._kept + read)[-KEPT_BYTES:]
        except BlockingIOError:
            return
