"""Processes that outlive their run: found by the mark that every attack puts into its name or arguments."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

GRACE_SECONDS = 1.0
"""The kernel may take a moment to tear a namespace down."""


def marked(mark: str) -> list[int]:
    """Processes with *mark* in name, arguments or environment; the dead that wait for their parent do not count."""
    needle = mark.encode()
    newest_first = sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True)
    return [pid for pid in newest_first if _has(pid, needle)]


def survivors(mark: str, grace: float = GRACE_SECONDS) -> list[int]:
    """Those of ``marked`` that are still there after *grace* seconds."""
    end = time.monotonic() + grace
    while found := marked(mark) or marked(mark):  # looked for twice: a process that hops is easily missed
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
