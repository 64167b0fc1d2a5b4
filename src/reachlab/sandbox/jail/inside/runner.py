"""The untrusted child: takes one job (or many, in a session), confines itself, and runs it as ``__main__``.

Everything it could say about itself is worth nothing; its supervisor reports. Not covered: any of the limits.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import linecache
import os
import random
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from types import ModuleType

from .grounds import Ground
from .protocol import ONCE, PYTHON, Job, read_exactly, read_job
from .syscalls import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, prctl

NONCE = 8
BEGUN = b"begun."
"""Said once, before anything untrusted runs: without it, what ended the child was a fault of ours."""
OUT_OF_MEMORY = 62
"""The signal with which a run ends that could not get memory: a limit, and not an error like another."""
_CHANNEL = 3
_NAME = "main.py"


def main(ground: Ground, null: int, out: int, err: int, channel: int) -> None:
    """Never returns."""
    try:
        _settle(ground, null, out, err, channel)
        connection = socket.socket(fileno=_CHANNEL)
        nonce = read_exactly(connection, NONCE)
        job = read_job(connection)
        os.chdir(ground.work)
        ground.confine(job)
        _reseed()
        connection.sendall(BEGUN)
        if job.mode == ONCE:
            connection.close()
            _once(job)
        _session(connection, nonce, job)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)


def _settle(ground: Ground, null: int, out: int, err: int, channel: int) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    prctl(PR_SET_DUMPABLE, 1)  # or its files in /proc would be root's; nothing untrusted runs yet
    with open("/proc/self/oom_score_adj", "w") as file:  # if the machine runs out, this goes before its supervisor
        file.write("1000")
    for position, descriptor in enumerate((null, out, err, channel)):
        os.dup2(descriptor, position, inheritable=position < _CHANNEL)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # or what a limit ends would take it along
    ground.enter()
    os.closerange(_CHANNEL + 1, 256)  # last: a ground may have some of its own
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of identity clears it


def _reseed() -> None:
    """Forks of one zygote would draw the same numbers."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _once(job: Job) -> None:
    if job.language != PYTHON:
        _shell(job.code)
    code, starved = _execute(job.code, _namespace())
    code = _finish(code)
    if starved:
        os.kill(os.getpid(), OUT_OF_MEMORY)
    os._exit(code)


def _shell(code: bytes) -> None:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # an interpreter ignores them; tools expect them
        signal.signal(number, signal.SIG_DFL)
    if len(code) < 100_000 and b"\0" not in code:
        os.execve("/bin/sh", [b"sh", b"-c", code], {})
    with open(".script", "wb") as file:
        file.write(code)
    os.execve("/bin/sh", ["sh", ".script"], {})


def _session(connection: socket.socket, nonce: bytes, job: Job) -> None:
    namespace = _namespace()
    while True:
        code, starved = _execute(job.code, namespace)
        _flush()
        connection.sendall(nonce + bytes([code & 0xFF, starved]))
        nonce = read_exactly(connection, NONCE)
        job = read_job(connection)


def _namespace() -> dict[str, object]:
    """A fresh ``__main__``; the modules of the jail are no longer to be found."""
    for name in [name for name in sys.modules if name.partition(".")[0] == __name__.partition(".")[0]]:
        del sys.modules[name]
    module = ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    sys.argv[:] = [_NAME]
    sys.path.insert(0, os.getcwd())
    return module.__dict__


def _execute(source: bytes, namespace: dict[str, object]) -> tuple[int, bool]:
    """The exit code that an interpreter would give, and whether memory ran out."""
    text = source.decode("utf-8", "surrogateescape")
    linecache.cache[_NAME] = (len(source), None, text.splitlines(keepends=True), _NAME)
    gc.enable()
    try:
        exec(compile(source, _NAME, "exec", dont_inherit=True), namespace)
        return 0, False
    except SystemExit as end:
        return _exit_code(end), False
    except BaseException as error:
        starved = isinstance(error, MemoryError)
        with suppress(BaseException):  # stderr is closed, or there is no memory for it
            trace = error.__traceback__.tb_next if error.__traceback__ else None
            traceback.print_exception(type(error), error, trace)
        return 1, starved


def _exit_code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    with suppress(BaseException):
        print(end.code, file=sys.stderr)
    return 1


def _finish(code: int) -> int:
    """What an interpreter does on its way out: wait for threads, call what was registered, flush."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    return code if _flush() else code or 120


def _flush() -> bool:
    flushed = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            flushed = stream is not sys.stdout or bool(getattr(stream, "closed", False))
    return flushed
