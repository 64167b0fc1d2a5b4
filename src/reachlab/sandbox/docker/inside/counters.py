"""What the kernel counts for this container: memory in use, processes killed for memory, processes refused.

Read from the control groups that Docker shows inside, of either version. Not covered: engines that show none (gVisor);
nothing is counted there.
"""

from __future__ import annotations

from collections.abc import Sequence

from reachlab.sandbox.jail.inside import usage

ROOT = "/sys/fs/cgroup"
_KILLED = (("memory.events", "oom_kill"), ("memory/memory.oom_control", "oom_kill"))
_REFUSED = (("pids.events", "max"), ("pids/pids.events", "max"))


def killed_for_memory(root: str = ROOT) -> int:
    return _count(root, _KILLED)


def refused_processes(root: str = ROOT) -> int:
    return _count(root, _REFUSED)


def memory_in_use(written: int, root: str = ROOT) -> int | None:
    """Anonymous and shared pages of all processes, without the *written* bytes in the work directory."""
    for path, anonymous in (("memory.stat", "anon"), ("memory/memory.stat", "rss")):
        found = _read(f"{root}/{path}")
        if anonymous in found:
            return found[anonymous] + max(0, found.get("shmem", 0) - written)
    return None


def _count(root: str, places: Sequence[tuple[str, str]]) -> int:
    for path, key in places:
        if found := _read(f"{root}/{path}"):
            return found.get(key, 0)
    return 0


def _read(path: str) -> dict[str, int]:
    try:
        with open(path, "rb") as file:
            return usage.counts(file.read())
    except OSError:
        return {}
