"""Landlock: which paths a process may read and write, without any privilege (Linux 5.13; the kernel's landlock.h).

Not covered: the calls Landlock does not see (stat, chmod, chown, utime: the seccomp filter refuses the ones that
change something), and the existence of paths, which stat still tells.
"""

from __future__ import annotations

import os
import struct

from .syscalls import PR_SET_NO_NEW_PRIVS, prctl, syscall

_READ_FILE, _READ_DIR, _EXECUTE, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 0, 1 << 1
READ = _READ_FILE | _READ_DIR | _EXECUTE
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many file rights each version of the interface knows: refer came with 2, truncate 3, device ioctl 5."""
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
SCOPES_ABI = 6
_PATH_BENEATH = 1


def abi() -> int:
    """The version of the kernel's interface, 0 without Landlock."""
    try:
        return syscall("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def restrict(readable: list[str], writable: list[str]) -> None:
    """From here on this process and its children read below ``readable``, write below ``writable``, nothing else."""
    version = abi()
    if not version:
        raise OSError("Landlock is not there or not enabled")
    every = (1 << _RIGHTS_BY_ABI.get(version, 16)) - 1
    if version >= SCOPES_ABI:  # no TCP; no signals and no abstract sockets across the border
        attributes = struct.pack("<QQQ", every, 3, 3)
    elif version >= 4:
        attributes = struct.pack("<QQ", every, 3)
    else:
        attributes = struct.pack("<Q", every)
    ruleset = syscall("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        for path in readable:
            _add(ruleset, path, READ)
        for path in writable:
            _add(ruleset, path, every)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _add(ruleset: int, path: str, rights: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not on this machine
        return
    try:
        if not os.path.isdir(path):
            rights &= _FILE_RIGHTS
        syscall("landlock_add_rule", ruleset, _PATH_BENEATH, struct.pack("<Qi", rights, beneath), 0)
    finally:
        os.close(beneath)
