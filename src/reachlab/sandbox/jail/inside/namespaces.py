"""Tier A: the two rings of namespaces.

The zygote lives in the outer ring (mount, pid, net, ipc, uts; a user namespace where it is not root) with the minimal
root and uid 65534. Each supervisor is the first process of an inner ring (user, mount, pid, net, ipc, uts): when it
dies, the kernel ends everything in it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

from . import rootfs
from .rootfs import NOBODY, WORK
from .syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REMOUNT,
    PR_SET_DUMPABLE,
    PR_SET_PDEATHSIG,
    clone,
    drop_capabilities,
    mount,
    prctl,
    sethostname,
    unshare,
)

_RING = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST_DESCRIPTORS = 256
_REMOVE_SECONDS = 1.5


def enter_outer_ring(uid: int, gid: int, folders: list[int], prefix: str) -> None:
    """Returns in the first process of the new ring; the caller stays behind and exits when it does.

    What stays behind outlives all of the ring: it removes the control groups, named *prefix*, in *folders*.
    """
    if uid == 0:
        unshare(_RING)
    else:
        unshare(_RING | CLONE_NEWUSER)
        _map_identity(uid, gid)
    sethostname(b"jail")
    child = os.fork()
    if child:
        _wait_and_exit(child, folders, prefix)
    for folder in folders:
        os.close(folder)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_and_exit(child: int, folders: list[int], prefix: str) -> None:
    for descriptor in set(range(_MOST_DESCRIPTORS)) - set(folders):
        with suppress(OSError):
            os.close(descriptor)
    try:
        os.waitpid(child, 0)
        remove_groups(folders, prefix)
    finally:
        os._exit(0)


def remove_groups(folders: list[int], prefix: str) -> None:
    """The control groups of that name in folders given by descriptors; tried again while the kernel clears them."""
    end = time.monotonic() + _REMOVE_SECONDS
    while True:
        names = [(folder, name) for folder in folders for name in os.listdir(folder) if name.startswith(prefix)]
        for folder, name in names:
            with suppress(OSError):
                os.rmdir(name, dir_fd=folder)
        if not names or time.monotonic() > end:
            return
        time.sleep(0.002)


def _map_identity(uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {uid} 1"), ("gid_map", f"{NOBODY} {gid} 1")):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def settle(packages: list[str], root: bool) -> None:
    """The minimal root, then nobody without capabilities."""
    rootfs.enter(packages)
    if root:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of identity clears it
    drop_capabilities()
    prctl(PR_SET_DUMPABLE, 1)  # else the maps of the inner user namespaces could not be written


def spawn() -> int:
    """A process in its own inner ring, its /proc showing only that: 0 there."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = clone(_RING | CLONE_NEWUSER)
    if child == 0:
        _map_identity(NOBODY, NOBODY)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
        try:
            mount("proc", "/proc", "proc", flags, "subset=pid")
        except OSError:  # before Linux 5.8
            mount("proc", "/proc", "proc", flags)
        prctl(PR_SET_DUMPABLE, 0)
    return child


def work_bytes(written: int) -> int:
    """The size of the work directory: one page more than allowed, so that going beyond can be told from reaching it."""
    return (-(-written // _PAGE) + 1) * _PAGE


def mount_work(files: int, written: int, again: bool) -> None:
    """The work directory, a tmpfs with room for one file and one page more than allowed."""
    options = f"mode=700,size={work_bytes(written)},nr_inodes={files + 2},uid={NOBODY},gid={NOBODY}"
    flags = MS_NOSUID | MS_NODEV
    mount("tmpfs", WORK, "tmpfs", flags | MS_REMOUNT if again else flags, options)
