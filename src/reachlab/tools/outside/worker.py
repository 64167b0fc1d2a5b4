"""The near side of an isolated tool: owns the process, asks it, and kills it when it takes too long.

Not covered: several calls at once in one process; they wait for each other.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from langchain_core.tools import ToolException

from reachlab import Json
from reachlab.errors import ToolFault
from reachlab.tools.outside.background import background
from reachlab.tools.outside.frames import receive, send
from reachlab.tools.outside.remote import Late
from reachlab.tools.outside.supervise import supervised

SPAWN_SECONDS = 30.0
CLOSE_SECONDS = 0.5
"""For a process whose connection is closed to end in its own way; a crash is over at once."""
END_SECONDS = 5.0


class Worker:
    """A ``Remote`` over a process that runs one tool. Started by the first call, and again after it ended."""

    def __init__(self, spec: str, seconds: float, start_seconds: float, seed: int = 0) -> None:
        self._hello = {"spec": json.loads(spec), "path": sys.path, "seed": seed}
        self._seconds, self._start_seconds = seconds, start_seconds
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        with self._lock:
            if self._process is None:
                self._start()
            reply = self._ask({"name": name, "arguments": dict(arguments)}, self._seconds)
        if "fault" in reply:
            raise ToolFault(reply["fault"])
        if reply["is_error"]:
            raise ToolException(reply["text"].removeprefix("Error: "))
        return str(reply["text"])

    def close(self) -> None:
        """Idempotent."""
        if os.getpid() == self._owner:  # else a forked process's copy
            with self._lock:
                self._end(grace=CLOSE_SECONDS)

    def _start(self) -> None:
        mine, theirs = socket.socketpair()
        worker = [sys.executable, "-m", "reachlab.tools.outside.worker_main", str(theirs.fileno())]
        command = supervised(worker, grace=0)
        try:
            # Owned by a thread that outlives this one: when it ends, so does the process.
            self._process = background().call(lambda: _spawn(command, theirs.fileno()), SPAWN_SECONDS)
        finally:
            theirs.close()
        self._socket = mine
        hello = self._ask(self._hello, self._start_seconds, starting=True)
        if "fault" in hello:
            self._end()
            raise ToolFault(f"isolated tool cannot be started: {hello['fault']}")

    def _ask(self, request: Json, seconds: float, *, starting: bool = False) -> Json:
        assert self._socket is not None
        deadline = time.monotonic() + seconds
        try:
            send(self._socket, request, deadline)
            return receive(self._socket, deadline)
        except TimeoutError as error:
            self._end()
            if starting:
                raise ToolFault(f"isolated tool not ready within {seconds:g} s") from error
            raise Late(f"isolated tool stopped after {seconds:g} s", seconds) from error
        except (OSError, EOFError, ValueError) as error:
            raise ToolFault(f"isolated tool crashed: {self._end(grace=CLOSE_SECONDS) or error}") from error
        except BaseException:  # interrupted half-way: what comes next would be the answer to this
            self._end()
            raise

    def _end(self, grace: float = 0.0) -> str:
        """End the process and all it started; how it ended by itself within *grace* seconds, or the empty string."""
        process, self._process = self._process, None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if process is None:
            return ""
        ended = _wait(process, grace)
        if ended is None:
            process.terminate()
            if _wait(process, END_SECONDS) is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                _wait(process, END_SECONDS)
            return ""
        killed = ended - 128
        known = killed in set(signal.Signals)
        return f"killed by {signal.Signals(killed).name}" if known else f"exit code {ended}"


def _spawn(command: list[str], passed: int) -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    return subprocess.Popen(
        command, stdin=null, stdout=null, stderr=null, pass_fds=[passed], start_new_session=True
    )


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
