"""Which processes of a test are still there."""

import time
from pathlib import Path


def processes(mark: str) -> list[str]:
    """Command lines of living processes that have *mark* in them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                ended = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] in "ZX"
            except OSError:
                continue
            if mark in line and not ended:
                found.append(line)
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def eventually_none(mark: str, seconds: float = 5.0) -> list[str]:
    """``processes(mark)`` once it is empty, or what is left after *seconds*."""
    end = time.monotonic() + seconds
    while (left := processes(mark)) and time.monotonic() < end:
        time.sleep(0.02)
    return left
