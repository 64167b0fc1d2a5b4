"""The seccomp filter: a list of what is allowed; anything else fails with EPERM, calls nobody knew with ENOSYS.

Allowed is what interpreters and shell tools use on files, pipes, memory and their own processes. Not there: sockets
(but for nameless pairs), mounts, namespaces, ptrace and its kin, bpf, io_uring, keys, memfd, userfaultfd, shared
memory that no limit sees (System V, shared anonymous mappings), changes of identity, reaching into other processes.
Not covered: paths, which namespaces or Landlock decide; the kernel itself.
"""

from __future__ import annotations

import errno
import struct

from .numbers import Machine, machine

_ALLOWED_NAMES = """
read write open close stat fstat lstat poll lseek mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64
pwrite64 readv writev access pipe select sched_yield mremap msync mincore madvise dup dup2 pause nanosleep getitimer
alarm setitimer getpid sendfile sendto recvfrom recvmsg shutdown getsockopt setsockopt getsockname getpeername fork
vfork execve exit wait4 uname flock fsync fdatasync truncate ftruncate getdents getdents64 getcwd chdir fchdir
rename mkdir rmdir creat link unlink symlink readlink umask gettimeofday getrlimit getrusage sysinfo times getuid
getgid geteuid getegid setpgid getppid getpgrp setsid getresuid getresgid getpgid getsid getgroups capget
rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack mknod mknodat statfs fstatfs getpriority sched_getparam
sched_getscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval arch_prctl gettid readahead time
futex sched_getaffinity set_tid_address restart_syscall fadvise64 timer_create timer_settime timer_gettime
timer_getoverrun timer_delete clock_gettime clock_getres clock_nanosleep exit_group epoll_wait epoll_ctl waitid openat
mkdirat newfstatat unlinkat renameat linkat symlinkat readlinkat faccessat pselect6 ppoll set_robust_list
get_robust_list splice tee sync_file_range epoll_pwait timerfd_create eventfd fallocate timerfd_settime
timerfd_gettime eventfd2 epoll_create epoll_create1 dup3 pipe2 preadv pwritev getcpu renameat2 getrandom execveat
membarrier copy_file_range preadv2 pwritev2 statx rseq pidfd_open close_range openat2 faccessat2 epoll_pwait2
futex_waitv getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr fchmod
"""
ALLOWED = tuple(_ALLOWED_NAMES.split())

METADATA = ("chmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat")
"""Allowed only where no path outside can be named: Landlock does not cover them."""

SIGNALS = ("kill", "tkill", "tgkill")

ENOSYS_INSTEAD = ("clone3",)
"""Answered as if the kernel were older, so that the C library takes the call whose flags can be read."""

_NEW_NAMESPACES = 0x7E020000
_SHARED_ANONYMOUS = 0x21
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_FILE_OWNER = (0x8901, 0x8902)  # FIOSETOWN, SIOCSPGRP: whom a descriptor sends signals to
_FILE_SIGNALS = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: likewise
_AF_UNIX = 1
_PRCTL_OPTIONS = (1, 2, 3, 15, 16, 21, 23, 39)  # parent-death signal, name; reading what is set
_KNOWN = 470  # the highest number of the table's kernels, and some

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN, _JUMP = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06, 0x05
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

Instruction = tuple[int, int, int, int]


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, 16 + 8 * index)  # the low half


def _answer(value: int) -> Instruction:
    return (_RETURN, 0, 0, value)


_ALLOWED, _DENIED, _UNKNOWN = _answer(_ALLOW), _answer(_ERRNO | errno.EPERM), _answer(_ERRNO | errno.ENOSYS)


def _only(index: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allowed where the argument is one of the values."""
    checks = [instruction for v in values for instruction in ((_EQUAL, 0, 1, v), _ALLOWED)]
    return [_argument(index), *checks, _DENIED]


def _never(index: int, values: tuple[int, ...]) -> list[Instruction]:
    checks = [instruction for v in values for instruction in ((_EQUAL, 0, 1, v), _DENIED)]
    return [_argument(index), *checks, _ALLOWED]


def program(on: Machine | None = None, *, own_root: bool, signals_to: tuple[int, ...] | None = None) -> bytes:
    """The filter as BPF. ``own_root``: no outside path can be named. ``signals_to``: the only targets; None: any."""
    on = on or machine()
    checked = {
        "clone": [_argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), _DENIED, _ALLOWED],
        "mmap": [_argument(3), (_AND, 0, 0, _SHARED_ANONYMOUS), (_EQUAL, 0, 1, _SHARED_ANONYMOUS), _DENIED, _ALLOWED],
        "ioctl": _never(1, _TERMINAL_INPUT + _FILE_OWNER),
        "fcntl": _never(1, _FILE_SIGNALS),
        "prctl": _only(0, _PRCTL_OPTIONS),
        "prlimit64": _only(0, (0,)),
        "socketpair": _only(0, (_AF_UNIX,)),
        **{name: [_UNKNOWN] for name in ENOSYS_INSTEAD},
    }
    if signals_to is not None:
        checked |= {name: _only(0, signals_to) for name in SIGNALS}
    plain = [*ALLOWED, *(METADATA if own_root else ()), *(SIGNALS if signals_to is None else ())]
    answers = {name: [_ALLOWED] for name in plain} | checked
    by_number = {on.numbers[name]: block for name, block in answers.items() if name in on.numbers}
    code: list[Instruction] = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, on.audit), _answer(_KILL_PROCESS), (_LOAD, 0, 0, 0)]
    if on.foreign is not None:
        code += [(_AT_LEAST, 0, 1, on.foreign), _answer(_KILL_PROCESS)]
    code += _search(_segments(by_number))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _segments(by_number: dict[int, list[Instruction]]) -> list[tuple[int, list[Instruction]]]:
    """Runs of numbers with the same answer, each with its first number."""
    segments: list[tuple[int, list[Instruction]]] = []
    for number in range(_KNOWN + 1):
        block = by_number.get(number, [_DENIED]) if number < _KNOWN else [_UNKNOWN]
        if not segments or segments[-1][1] != block:
            segments.append((number, block))
    return segments


def _search(segments: list[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """A binary search: the kernel tries every number on a filter that is installed, so its depth is start-up time."""
    if len(segments) == 1:
        return segments[0][1]
    middle = len(segments) // 2
    left, right = _search(segments[:middle]), _search(segments[middle:])
    return [(_AT_LEAST, 0, 1, segments[middle][0]), (_JUMP, 0, 0, len(left)), *left, *right]
