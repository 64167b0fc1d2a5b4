"""What processes use, read from outside them: threads, processor time, anonymous memory.

``measure`` is cheap and errs upwards in memory: pages that forks share count in each. ``exact_memory`` settles it
where that sum is over the limit. Read every few milliseconds: what comes and goes between two readings is not seen.
"""

from __future__ import annotations

import os
import resource
import time
from typing import NamedTuple

from .syscalls import syscall

_PAGE = os.sysconf("SC_PAGE_SIZE")
_KCMP_VM = 1
_TICK = 1 / os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """Of a set of processes. ``tasks`` counts threads; ``zombies`` have ended, and nobody has waited for them."""

    tasks: int
    zombies: int
    cpu_seconds: float
    memory_bytes: int


def measure(pids: list[int]) -> Usage:
    tasks, zombies, cpu, memory = 0, 0, 0.0, 0
    for pid in pids:
        stat = _read(f"/proc/{pid}/stat")
        sizes = _read(f"/proc/{pid}/statm").split()
        if not stat or len(sizes) < 3:  # it has just ended
            continue
        fields = stat[stat.rindex(b")") + 2 :].split()
        if fields[0] in b"ZX":
            zombies += 1
        else:
            tasks += max(1, int(fields[17]))
        cpu += _own_cpu(pid, fields) + (int(fields[13]) + int(fields[14])) * _TICK
        memory += (int(sizes[1]) - int(sizes[2])) * _PAGE
    return Usage(tasks, zombies, cpu, memory)


def _own_cpu(pid: int, fields: list[bytes]) -> float:
    try:
        return time.clock_gettime((~pid << 3) | 2)  # the process's own clock (CPUCLOCK_SCHED), finer than a tick
    except OSError:
        return (int(fields[11]) + int(fields[12])) * _TICK


def exact_memory(pids: list[int]) -> int:
    """Anonymous memory with what is shared counted once. Walks page tables, and needs the right to look."""
    total, seen = 0, list[int]()
    for pid in pids:
        if any(_one_memory(pid, other) for other in seen):  # between vfork and exec a child is in its parent's memory
            continue
        seen.append(pid)
        total += _shares(pid)
    return total


def _shares(pid: int) -> int:
    """The process's proportional share of the anonymous pages it maps; all of them if the kernel does not say."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss_Anon:"):
            return int(line.split()[1]) * 1024
    sizes = _read(f"/proc/{pid}/statm").split()
    return (int(sizes[1]) - int(sizes[2])) * _PAGE if len(sizes) > 2 else 0


def _one_memory(pid: int, other: int) -> bool:
    try:
        return syscall("kcmp", pid, other, _KCMP_VM, 0, 0) == 0
    except OSError:
        return False


def reaped_cpu() -> float:
    """Of the children this process has waited for, and theirs."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def data_bytes(pid: int | str = "self") -> int:
    """Private writable memory reserved: what RLIMIT_DATA counts."""
    return int(_read(f"/proc/{pid}/statm").split()[5]) * _PAGE


def check_children() -> None:
    """Without that file ``children`` would see nobody."""
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        raise OSError("this kernel does not list the children of a process (CONFIG_PROC_CHILDREN)")


def children(pid: int) -> list[int]:
    """Every process below *pid*, deepest last."""
    found, queue = [], [pid]
    while queue:
        parent = queue.pop()
        for thread in listing(f"/proc/{parent}/task"):
            below = [int(child) for child in _read(f"/proc/{parent}/task/{thread}/children").split()]
            found += below
            queue += below
    return found


def everyone_but(pid: int) -> list[int]:
    """Every process that /proc shows, but *pid*."""
    return [int(name) for name in listing("/proc") if name.isdigit() and int(name) != pid]


def threads_of(uid: int) -> int:
    """Threads that a user has on this machine: what RLIMIT_NPROC counts where there is no user namespace."""
    total = 0
    for name in listing("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == uid:
                total += len(listing(f"/proc/{name}/task"))
        except OSError:
            continue
    return total


def counts(data: bytes) -> dict[str, int]:
    """A file of control groups: a name and a number in each line."""
    lines = [line.split() for line in data.splitlines()]
    return {words[0].decode(): int(words[1]) for words in lines if len(words) == 2}


def listing(path: str) -> list[str]:
    """Of a folder that may be gone by now."""
    try:
        return os.listdir(path)
    except OSError:
        return []


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
