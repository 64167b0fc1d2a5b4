"""The work directory: what is used of it, and how it is emptied whatever a run left there.

Not covered: open files of processes that still run; none do when this is called.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple


class Used(NamedTuple):
    """Of a tmpfs, its root directory not counted."""

    files: int
    written_bytes: int


def used(work: str) -> Used:
    space = os.statvfs(work)
    files = space.f_files - space.f_ffree - 1 if space.f_files else _counted(work)
    return Used(files, (space.f_blocks - space.f_bfree) * space.f_frsize)


def _counted(work: str) -> int:
    """By looking, for a file system that does not tell (gVisor's); folders that cannot be looked into count as one."""
    found, folders = 0, [work]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                found += 1
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return found


def writable_beside(work: str) -> list[str]:
    """Folders mounted so that they can be written to, but for *work* and message queues, whose limit is 0."""
    with open("/proc/mounts", encoding="utf-8", errors="surrogateescape") as file:
        points = {line.split()[1] for line in file}
    return sorted(p for p in points - {work, "/dev/mqueue"} if os.path.isdir(p) and os.access(p, os.W_OK))


def wipe(work: str) -> None:
    """Empty it and give it its first mode and times back. ``OSError`` if anything of it stays in use."""
    empty(work)
    left = used(work)
    if left.files > 0 or left.written_bytes > 0:
        raise OSError(f"{work} cannot be emptied: {left}")


def empty(work: str) -> None:
    """Folders are lifted to the top and emptied there: no depth, mode or name of what lies there gets in the way."""
    os.chmod(work, 0o700)
    top = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while names := os.listdir(top):
            for name in names:
                _remove(top, name)
        os.utime(top, ns=(0, 0))
    finally:
        os.close(top)


def _remove(top: int, name: str) -> None:
    if _unlinked(top, name):
        return
    os.chmod(name, 0o700, dir_fd=top)
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
    try:
        for inner in os.listdir(folder):
            if not _unlinked(folder, inner):
                os.chmod(inner, 0o700, dir_fd=folder)  # its entry ".." changes
                os.rename(inner, os.urandom(16).hex(), src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _unlinked(folder: int, name: str) -> bool:
    """False: it is a folder."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        return False
    return True
