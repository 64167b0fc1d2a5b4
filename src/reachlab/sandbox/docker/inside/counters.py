"""What the kernel counts for this container: memory in use, processes killed for memory, processes refused.

Read from the control groups that Docker shows inside, of either version. Not covered: engines that show none (gVisor);
nothing is counted there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from reachlab.sandbox.jail.inside import usage

ROOT = "/sys/fs/cgroup"
_MEMORY = ("memory.stat", "memory/memory.stat")
_KILLED = ("memory.events", "memory/memory.oom_control")
_REFUSED = ("pids.events", "pids/pids.events")
_MOST = 1 << 14


class Counters:
    """The files stay open: at the memory's cap the kernel makes whoever opens one search for memory first, for seconds.

    So measured on version 1, with the reader in the group itself.
    """

    def __init__(self, root: str = ROOT) -> None:
        self._memory, self._killed, self._refused = (_opened(root, names) for names in (_MEMORY, _KILLED, _REFUSED))

    def killed_for_memory(self) -> int:
        return _read(self._killed).get("oom_kill", 0)

    def refused_processes(self) -> int:
        return _read(self._refused).get("max", 0)

    def memory_in_use(self, written: int) -> int | None:
        """Anonymous and shared pages of all processes, without the *written* bytes in the work directory."""
        found = _read(self._memory)
        anonymous = found.get("anon", found.get("rss"))
        return None if anonymous is None else anonymous + max(0, found.get("shmem", 0) - written)


def _opened(root: str, names: Sequence[str]) -> int | None:
    for name in names:
        with suppress(OSError):
            return os.open(f"{root}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    return None


def _read(file: int | None) -> dict[str, int]:
    return {} if file is None else usage.counts(os.pread(file, _MOST, 0))
