"""Processes that outlive their run: found by the mark that every attack puts into its name or arguments."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

GRACE_SECONDS = 1.0
"""The kernel may take a moment to tear a namespace down."""
_MOST_ROUNDS = 100
"""Of looking for new processes, on a machine that never stops making some."""


def marked(mark: str) -> list[int]:
    """Processes with *mark* in name, arguments or environment; the dead that wait for their parent do not count.

    Looked for until nothing new turns up: what was gone before it could be read has handed over to a child, if to
    anybody, and that child's number is new. However slow the machine, a process that hops is not missed.
    """
    needle, found = mark.encode(), list[int]()
    seen: set[int] = set()
    for _ in range(_MOST_ROUNDS):
        new = {int(name) for name in os.listdir("/proc") if name.isdigit()} - seen
        if not new:
            break
        found += [pid for pid in sorted(new, reverse=True) if _has(pid, needle)]
        seen |= new
    return found


def survivors(mark: str, grace: float = GRACE_SECONDS) -> list[int]:
    """Those of ``marked`` that are still there after *grace* seconds."""
    end = time.monotonic() + grace
    while found := marked(mark):
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return found


def sweep(mark: str, seconds: float = 5.0) -> None:
    """Kill every process with *mark*; again and again, as some hop from child to child."""
    end = time.monotonic() + seconds
    while (found := marked(mark)) and time.monotonic() < end:
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _has(pid: int, needle: bytes) -> bool:
    if pid == os.getpid():
        return False
    folder = Path(f"/proc/{pid}")
    for name in ("comm", "cmdline", "environ"):
        with suppress(OSError):
            if needle in (folder / name).read_bytes():
                return not _is_dead(folder)
    return False


def _is_dead(folder: Path) -> bool:
    try:
        return (folder / "stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except OSError:
        return True
