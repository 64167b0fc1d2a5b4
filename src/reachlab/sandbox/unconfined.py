"""A sandbox that isolates nothing: the positive control of the conformance suite, never a place for a policy's code.

Each weakness stands for a mistake seen in a real backend: the environment and the descriptors are inherited, all runs
and sessions share one folder, the exit code comes through a pipe that the code can write to (and counts as 0 where
nothing came), standard input holds the next request, output is decoded and not capped, no limit is enforced.

Not covered: anything a sandbox is for. One wall-clock cap, far above the limits, ends what hangs.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from reachlab import Language, Limit, SandboxLimits, SandboxResult
from reachlab.errors import BadValue
from reachlab.sandbox.jail.inside import owners

CAP_SECONDS = 2.0
"""What hangs is ended this long after three times the wall limit."""

NEXT_REQUEST = b"print('the next request')\n"

_RUNNER = """
import json, os, sys, traceback
def report(code):
    os.write(int(os.environ["RESULT_DESCRIPTOR"]), b"exit=%d\\n" % code)
scope = {"__name__": "__main__"}
try:
    with open("variables.json") as file:
        scope |= json.load(file)
except (OSError, ValueError):
    pass
code = 0
try:
    exec(compile(sys.argv[1], "main.py", "exec"), scope)
except SystemExit as end:
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
except BaseException:
    traceback.print_exc()
    code = 1
with open("variables.json", "w") as file:
    json.dump({k: v for k, v in scope.items() if isinstance(v, (int, str)) and k != "__name__"}, file)
report(code)
"""


class Unconfined:
    """A ``Sandbox`` by its methods only. ``allow_unsafe`` has to be said, so that nothing resolves to it by accident.

    *descriptors* are handed to the code, as a backend does that forgets to close them.
    """

    def __init__(self, allow_unsafe: bool = False, descriptors: Sequence[int] = ()) -> None:
        if allow_unsafe is not True:
            raise BadValue("allow_unsafe of Unconfined", allow_unsafe, "True; it isolates nothing, for controls only")
        self._folder = Path(tempfile.mkdtemp(prefix=owners.prefix("unconfined")))
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._descriptors = tuple(descriptors)

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult:
        """Run *code*; of *limits* nothing is enforced."""
        start = time.monotonic()
        receive, send = os.pipe()
        try:
            with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
                process = self._start(code, language, send, out, err)
                limit = _wait(process, CAP_SECONDS + 3 * limits.wall_seconds)
                stdout, stderr = _decoded(out), _decoded(err)
            os.set_blocking(receive, False)
            exit_code = _first_frame(receive) if language == "python" else process.returncode
        finally:
            os.close(receive)
            os.close(send)
        seconds = time.monotonic() - start
        return SandboxResult(stdout, stderr, None if limit else exit_code, seconds, 0.0, 0, limit, "unconfined")

    def session(self) -> _Session:
        return _Session(self)

    def close(self) -> None:
        """Remove the folder. What the code left running stays."""
        self._remove()

    def _start(
        self, code: str, language: Language, send: int, out: IO[bytes], err: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        # The shell in between is a parent that the code can signal without hitting the harness.
        if language == "python":
            command = ["sh", "-c", '"$@"; :', "sh", sys.executable, "-c", _RUNNER, code]
        else:
            command = ["sh", "-c", '"$@"; exit $?', "sh", "sh", "-c", code]
        environment = {**os.environ, "RESULT_DESCRIPTOR": str(send)}
        process = subprocess.Popen(
            command, cwd=self._folder, env=environment, stdin=subprocess.PIPE, stdout=out, stderr=err,
            pass_fds=(send, *self._descriptors), start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(NEXT_REQUEST)
            process.stdin.close()
        return process


class _Session:
    """All sessions share the folder and the variables in it."""

    def __init__(self, sandbox: Unconfined) -> None:
        self._sandbox = sandbox

    def run(self, code: str, limits: SandboxLimits, language: Language = "python") -> SandboxResult:
        return self._sandbox.run(code, limits, language)

    def close(self) -> None:
        """Nothing is removed."""


def _wait(process: subprocess.Popen[bytes], seconds: float) -> Limit:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "wall"
    return ""


def _decoded(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read().decode(errors="replace").encode()


def _first_frame(receive: int) -> int:
    """The first exit code in the pipe, whoever wrote it; 0 where there is none."""
    try:
        line = os.read(receive, 4096).split(b"\n")[0]
        return int(line.removeprefix(b"exit="))
    except (BlockingIOError, ValueError):
        return 0
