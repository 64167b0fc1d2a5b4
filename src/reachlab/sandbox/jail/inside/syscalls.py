"""The system calls that the standard library lacks, through ctypes; a failure is an ``OSError`` that says which call.

Not covered: any policy. Flags and structures are the kernel's (include/uapi/linux: mount.h, sched.h, prctl.h).
"""

from __future__ import annotations

import ctypes
import os
import struct

from .numbers import machine

# PyDLL keeps the interpreter lock: after a raw clone no other thread can hold it.
_libc = ctypes.PyDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP = 1, 4, 22
PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 24, 36, 38
_SIGCHLD = 17
_CAPABILITY_VERSION_3 = 0x20080522
_M_ARENA_MAX = -8
_PTHREAD_ATTRIBUTES = 128  # bytes; glibc's pthread_attr_t has 56 or 64


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(name: str, *arguments: int | bytes | None | ctypes.Array[ctypes.c_char]) -> int:
    """The call of that name on this machine."""
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(machine().numbers[name]), *plain), name)


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    result = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    _checked(result, f"mount {kind or source} on {target}")


def umount(target: str, flags: int = 0) -> None:
    _checked(_libc.umount2(os.fsencode(target), flags), f"umount {target}")


def set_mount_flags(target: str, flags: int, recursive: bool = False) -> None:
    """Read-only, nosuid and nodev on a whole tree (mount_setattr, Linux 5.12), which keeps flags already locked."""
    attributes = struct.pack("<QQQQ", flags, 0, 0, 0)
    syscall("mount_setattr", AT_FDCWD, os.fsencode(target), AT_RECURSIVE if recursive else 0, attributes, 32)


def pivot_here() -> None:
    """Make the working directory the root and let go of the old one."""
    syscall("pivot_root", b".", b".")
    umount(".", MNT_DETACH)
    os.chdir("/")


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def clone(flags: int) -> int:
    """Fork into new namespaces: 0 in the child."""
    return syscall("clone", flags | _SIGCHLD, 0, 0, 0, 0)


def prctl(option: int, value: int, pointer: int = 0) -> None:
    zero = ctypes.c_ulong(0)
    result = _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(pointer), zero, zero)
    _checked(result, f"prctl {option}")


def sethostname(name: bytes) -> None:
    _checked(_libc.sethostname(name, ctypes.c_size_t(len(name))), "sethostname")


def drop_capabilities() -> None:
    """Give up every capability, now and after any exec."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # past the last one, or not ours to drop
            break
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    header, data = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0), bytes(24)
    syscall("capset", header, data)


def install_filter(program: bytes) -> None:
    """Put a seccomp program (8 bytes an instruction) on this process and all that come from it."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    code = ctypes.create_string_buffer(program, len(program))
    fprog = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(fprog))


def one_malloc_arena() -> None:
    """Threads share one heap, so that what they reserve and never touch counts for nothing."""
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def small_thread_stacks(size: int) -> None:
    """The default for threads from here on (glibc): what they reserve counts as memory."""
    attributes = ctypes.create_string_buffer(_PTHREAD_ATTRIBUTES)
    if hasattr(_libc, "pthread_setattr_default_np"):
        _libc.pthread_attr_init(attributes)
        _libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(size))
        _libc.pthread_setattr_default_np(attributes)
        _libc.pthread_attr_destroy(attributes)
