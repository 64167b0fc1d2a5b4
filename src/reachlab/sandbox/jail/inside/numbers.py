"""System call numbers by name, for x86-64 and arm64, and what each architecture is called in a seccomp filter.

Facts read from the kernel's headers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
Not covered: other architectures; ``machine()`` raises there, and the jail falls to the next tier. arm64 is checked by
a unit test against the table, and has not been run.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class Machine(NamedTuple):
    """One architecture: its token in a seccomp filter, its numbers, and where the foreign ABI (x32) begins."""

    audit: int
    numbers: dict[str, int]
    foreign: int | None


# name, x86-64, arm64; "-" where that architecture has no such call
_TABLE = """
read 0 63; write 1 64; open 2 -; close 3 57; stat 4 -; fstat 5 80; lstat 6 -; poll 7 -; lseek 8 62; mmap 9 222;
mprotect 10 226; munmap 11 215; brk 12 214; rt_sigaction 13 134; rt_sigprocmask 14 135; rt_sigreturn 15 139;
ioctl 16 29; pread64 17 67; pwrite64 18 68; readv 19 65; writev 20 66; access 21 -; pipe 22 -; select 23 -;
sched_yield 24 124; mremap 25 216; msync 26 227; mincore 27 232; madvise 28 233; dup 32 23; dup2 33 -; pause 34 -;
nanosleep 35 101; getitimer 36 102; alarm 37 -; setitimer 38 103; getpid 39 172; sendfile 40 71; socketpair 53 199;
sendto 44 206; recvfrom 45 207; shutdown 48 210; getsockopt 55 209; setsockopt 54 208; getsockname 51 204;
getpeername 52 205; recvmsg 47 212; clone 56 220; clone3 435 435; fork 57 -; vfork 58 -; execve 59 221; exit 60 93;
wait4 61 260; kill 62 129; uname 63 160; fcntl 72 25; flock 73 32; fsync 74 82; fdatasync 75 83; truncate 76 45;
ftruncate 77 46; getdents 78 -; getdents64 217 61; getcwd 79 17; chdir 80 49; fchdir 81 50; rename 82 -; mkdir 83 -;
rmdir 84 -; creat 85 -; link 86 -; unlink 87 -; symlink 88 -; readlink 89 -; chmod 90 -; fchmod 91 52; umask 95 166;
gettimeofday 96 169; getrlimit 97 163; getrusage 98 165; sysinfo 99 179; times 100 153; getuid 102 174;
getgid 104 176; geteuid 107 175; getegid 108 177; setpgid 109 154; getppid 110 173; getpgrp 111 -; setsid 112 157;
getresuid 118 148; getresgid 120 150; getpgid 121 155; getsid 124 156; getgroups 115 158; capget 125 90;
rt_sigpending 127 136; rt_sigtimedwait 128 137; rt_sigsuspend 130 133; rt_sigqueueinfo 129 138; sigaltstack 131 132;
utime 132 -; mknod 133 -; mknodat 259 33; personality 135 92; statfs 137 43; fstatfs 138 44; getpriority 140 141;
sched_getparam 143 121; sched_getscheduler 145 120; sched_get_priority_max 146 125; sched_get_priority_min 147 126;
sched_rr_get_interval 148 127; prctl 157 167; arch_prctl 158 -; sync 162 81; gettid 186 178; readahead 187 213;
time 201 -; futex 202 98; sched_getaffinity 204 123; set_tid_address 218 96; restart_syscall 219 128;
fadvise64 221 223; timer_create 222 107; timer_settime 223 110; timer_gettime 224 108; timer_getoverrun 225 109;
timer_delete 226 111; clock_gettime 228 113; clock_getres 229 114; clock_nanosleep 230 115; exit_group 231 94;
epoll_wait 232 -; epoll_ctl 233 21; tkill 200 130; tgkill 234 131; utimes 235 -; waitid 247 95; openat 257 56;
mkdirat 258 34; futimesat 261 -; newfstatat 262 79; unlinkat 263 35; renameat 264 38; linkat 265 37;
symlinkat 266 36; readlinkat 267 78; fchmodat 268 53; faccessat 269 48; pselect6 270 72; ppoll 271 73;
set_robust_list 273 99; get_robust_list 274 100; splice 275 76; tee 276 77; sync_file_range 277 84; utimensat 280 88;
epoll_pwait 281 22; timerfd_create 283 85; eventfd 284 -; fallocate 285 47; timerfd_settime 286 86;
timerfd_gettime 287 87; eventfd2 290 19; epoll_create 213 -; epoll_create1 291 20; dup3 292 24; pipe2 293 59;
preadv 295 69; pwritev 296 70; prlimit64 302 261; getcpu 309 168; renameat2 316 276; getrandom 318 278;
execveat 322 281; membarrier 324 283; copy_file_range 326 285; preadv2 327 286; pwritev2 328 287; statx 332 291;
rseq 334 293; pidfd_open 434 434; close_range 436 436; openat2 437 437; faccessat2 439 439; epoll_pwait2 441 441;
fchmodat2 452 452; futex_waitv 449 449; sched_setaffinity 203 122; mount 165 40; umount2 166 39; pivot_root 155 41;
unshare 272 97; setns 308 268; ptrace 101 117; bpf 321 280; socket 41 198; connect 42 203; keyctl 250 219;
add_key 248 217; memfd_create 319 279; io_uring_setup 425 425; userfaultfd 323 282; process_vm_readv 310 270;
mount_setattr 442 442; landlock_create_ruleset 444 444; landlock_add_rule 445 445; landlock_restrict_self 446 446;
seccomp 317 277; capset 126 91; perf_event_open 298 241; getxattr 191 8; lgetxattr 192 9; fgetxattr 193 10;
listxattr 194 11; llistxattr 195 12; flistxattr 196 13; chown 92 -; lchown 94 -; fchown 93 55; fchownat 260 54;
kcmp 312 272; setuid 105 146; setgid 106 144; setresuid 117 147; setresgid 119 149; setgroups 116 159; setreuid 113 145;
setregid 114 143
"""

_ROWS = [row.split() for row in _TABLE.replace("\n", " ").split(";")]

X86_64 = Machine(0xC000003E, {name: int(x86) for name, x86, _ in _ROWS if x86 != "-"}, 0x40000000)
ARM64 = Machine(0xC00000B7, {name: int(arm) for name, _, arm in _ROWS if arm != "-"}, None)


def machine(name: str = "") -> Machine:
    """The table of the machine named as ``os.uname`` names it; this one by default."""
    name = name or os.uname().machine
    tables = {"x86_64": X86_64, "amd64": X86_64, "aarch64": ARM64, "arm64": ARM64}
    if name not in tables:
        raise OSError(f"no system call numbers for {name!r}, only for {', '.join(sorted(tables))}")
    return tables[name]
