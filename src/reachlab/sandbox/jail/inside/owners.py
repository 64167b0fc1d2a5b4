"""Whose a thing on this machine is, said in its name, so that what a dead process left can be found and removed.

An owner is a process: its number and its start time, as the same number may be another's by now. Used by the library
and by what it starts. Not covered: what was left in other process-id namespaces, whose owners cannot be seen.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import suppress

SHARED_MEMORY = "/dev/shm"
_NAME = re.compile(r"\.?reachlab-[a-z]+-(\d+)-(\d+)-(\d+)-")


def owner(pid: int) -> str:
    """Number and start time; only the number where no such process runs."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return f"{pid}:"
    return f"{pid}:{int(fields[19])}" if fields[0] not in b"ZX" else f"{pid}:"


def is_alive(owner_: str) -> bool:
    """Whether that process still runs."""
    number, _, start = owner_.partition(":")
    return number.isdigit() and start != "" and owner(int(number)) == owner_


def namespace() -> str:
    """Where this process's numbers count: the same number elsewhere is another process."""
    return str(os.stat("/proc/self/ns/pid").st_ino)


def prefix(kind: str) -> str:
    """How the name begins of what this process makes and has to remove; *kind* is a word in small letters."""
    return f"reachlab-{kind}-{namespace()}-{owner(os.getpid()).replace(':', '-')}-"


def left(folder: str) -> list[str]:
    """Paths in *folder* whose names say that their owner is dead."""
    here, found = namespace(), []
    with suppress(OSError):
        for name in os.listdir(folder):
            said = _NAME.match(name)
            if said and said[1] == here and not is_alive(f"{said[2]}:{said[3]}"):
                found.append(os.path.join(folder, name))
    return found


def sweep(*folders: str) -> list[str]:
    """Remove what the dead left in *folders*, the temporary one and shared memory; what may not be removed stays."""
    gone = []
    for folder in sorted({tempfile.gettempdir(), SHARED_MEMORY, *folders}):
        for path in left(folder):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(path)
            gone += [] if os.path.lexists(path) else [path]
    return gone
