"""Control groups of tier A: the kernel's own cap on a run's memory in total and on its processes, where it can be had.

A group serves one run, or one session, at a time and is used again when it is empty. The first process of a run writes
itself into it, through descriptors that were opened here, before it is confined; untrusted code holds none of them.
Groups lie below the library's own group (version 1), or beside it where version 2 allows none below. They are removed
by the zygote's outermost process when everything in them has ended, whatever ended the library; those that it missed,
when the next jail starts. Not covered: swap of version 1 beyond asking for none; processor time; tiers B and C.
Version 2 has not been run so far: without a canary that comes back from it, it is not used.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from reachlab.errors import ToolFault
from reachlab.sandbox.jail.inside import owners
from reachlab.sandbox.jail.inside.namespaces import remove_groups, work_bytes
from reachlab.sandbox.jail.inside.protocol import Limits

RESERVE_BYTES, PROCESS_BYTES = 16 * 2**20, 2**20
"""For what the kernel keeps for a run and for each of its processes, beside what the run may use."""
_CONTROLLERS = ("memory", "pids")
_ENTRY = {1: "tasks", 2: "cgroup.procs"}
"""Of version 1 the file for one thread, which is all that enters: the one for processes makes every fork wait."""
_SWAP_OFF = {1: ("memory.swappiness", "0"), 2: ("memory.swap.max", "0")}
_MEMORY = {1: "memory.limit_in_bytes", 2: "memory.max"}
_EVENTS = {1: "memory.oom_control", 2: "memory.events"}


class Parents(NamedTuple):
    """Where groups can be made, by controller: two folders of version 1, or one of version 2 twice."""

    version: int
    folders: Mapping[str, Path]


class Group:
    """The folders of one group, and the descriptors that a run needs of it."""

    def __init__(self, parents: Parents, name: str) -> None:
        self._version = parents.version
        self.folders = {controller: folder / name for controller, folder in parents.folders.items()}
        self._limits: Limits | None = None
        self.descriptors: list[int] = []
        """Of the file that counts who was killed for memory, then of those through which one enters."""
        try:
            for folder in set(self.folders.values()):
                folder.mkdir()
            with suppress(FileNotFoundError):  # a kernel without swap
                file, value = _SWAP_OFF[self._version]
                (self.folders["memory"] / file).write_text(value)
            self.limit(Limits(1.0, 1.0, 2**28, 16, 16, 2**20, 1))
            self._open(self.folders["memory"] / _EVENTS[self._version], os.O_RDONLY)
            for folder in sorted(set(self.folders.values())):
                self._open(folder / _ENTRY[self._version], os.O_WRONLY)
        except OSError:
            self.let_go()
            for folder in set(self.folders.values()):
                with suppress(OSError):
                    folder.rmdir()
            raise

    def limit(self, limits: Limits) -> None:
        """What the next run may take. A session that holds more already keeps its cap: the watchdog ends it."""
        if limits == self._limits:
            return
        memory = limits.memory_bytes + work_bytes(limits.written_bytes)
        memory += RESERVE_BYTES + limits.processes * PROCESS_BYTES
        # As with the rlimit one process beyond the limit, so that going beyond it shows.
        (self.folders["pids"] / "pids.max").write_text(str(limits.processes + 1))
        try:
            (self.folders["memory"] / _MEMORY[self._version]).write_text(str(memory))
            self._limits = limits
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise

    def is_empty(self) -> bool:
        return not any((folder / _ENTRY[self._version]).read_text() for folder in self.folders.values())

    def let_go(self) -> None:
        """Close what is open of it."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()

    def _open(self, path: Path, how: int) -> None:
        self.descriptors.append(os.open(path, how | os.O_CLOEXEC))


class Groups:
    """Those of one engine. ``OSError`` where none can be made."""

    def __init__(self, parents: Parents) -> None:
        self.version, self._parents = parents.version, parents
        self.prefix = f"{owners.prefix('group')}{secrets.token_hex(4)}-"
        self._free, self._made = deque[Group](), list[Group]()
        self._free.append(self._make())
        self.folders = [os.open(f, os.O_RDONLY | os.O_DIRECTORY) for f in sorted(set(parents.folders.values()))]
        """Descriptors of where they lie, for whoever removes them."""

    def take(self) -> Group:
        """One that is empty."""
        try:
            for _ in range(len(self._free)):
                group = self._free.popleft()
                if group.is_empty():
                    return group
                self._free.append(group)  # the kernel is still at work on its last processes
            return self._make()
        except OSError as error:
            raise ToolFault(f"a control group could not be had: {error}") from error

    def give_back(self, group: Group) -> None:
        self._free.append(group)

    def let_go(self) -> None:
        """Close what is open of them; they stay."""
        for group in self._made:
            group.let_go()
        for descriptor in self.folders:
            os.close(descriptor)
        self.folders.clear()

    def remove(self) -> None:
        """All of them, once what was in them has ended; what the zygote has removed is gone already."""
        if self.folders:
            remove_groups(self.folders, self.prefix)
        self.let_go()

    def _make(self) -> Group:
        group = Group(self._parents, f"{self.prefix}{len(self._made)}")
        self._made.append(group)
        return group


def made() -> tuple[Groups | None, str]:
    """Groups for an engine, or why there are none. What dead libraries left is removed first."""
    problem = "no hierarchy of control groups with memory and pids is mounted"
    for parents in _parents():
        for folder in set(parents.folders.values()):
            for path in owners.left(str(folder)):
                with suppress(OSError):
                    os.rmdir(path)
        try:
            return Groups(parents), ""
        except OSError as error:
            problem = f"no group can be made in {error.filename or folder}: {error.strerror}"
    return None, problem


def _parents(proc: Path = Path("/proc/self")) -> Iterator[Parents]:
    """Where they might be made, best first."""
    try:
        found = _own_folders(proc)
    except OSError:
        return
    if all(controller in found for controller in _CONTROLLERS):
        yield Parents(1, {controller: found[controller] for controller in _CONTROLLERS})
    elif "" in found:
        for folder in (found[""], found[""].parent):
            with suppress(OSError):
                if {*_CONTROLLERS} <= {*(folder / "cgroup.subtree_control").read_text().split()}:
                    yield Parents(2, dict.fromkeys(_CONTROLLERS, folder))


def _own_folders(proc: Path) -> dict[str, Path]:
    """The folder of this process's group by controller; version 2 has the empty name."""
    groups: dict[str, str] = {}
    for line in (proc / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path)
    found: dict[str, Path] = {}
    for line in (proc / "mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        root, point = fields.split()[3:5]
        system, _, options = kind.split()[:3]
        names = {"cgroup": options.split(","), "cgroup2": [""]}.get(system, [])
        for name in names:
            below = os.path.relpath(groups.get(name, "/.."), root)
            if name in groups and not below.startswith(".."):
                found.setdefault(name, Path(point) / below)
    return found
