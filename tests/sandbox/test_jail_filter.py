"""The seccomp program, evaluated here for both architectures, and the table of numbers against the kernel's headers."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from reachlab.sandbox.jail.inside import seccomp
from reachlab.sandbox.jail.inside.numbers import ARM64, X86_64, Machine, machine

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
HEADERS = {
    "x86": (X86_64, Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), r"#define __NR_(\w+) (\d+)"),
    "arm": (ARM64, Path("/usr/include/asm-generic/unistd.h"), r"#define __NR(?:3264)?_(\w+) (\d+)"),
}
DOORS = """
socket connect mount umount2 pivot_root unshare setns ptrace bpf keyctl add_key memfd_create io_uring_setup userfaultfd
process_vm_readv perf_event_open setuid setresuid capset seccomp mount_setattr
"""
OTHER_NAMES = {"newfstatat": "fstatat", "fadvise64": "fadvise64"}


def decide(program: bytes, audit: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """What a kernel would answer: the few instructions of classic BPF that the filter uses."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, audit, 0, *padded)
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    register = position = 0
    while True:
        operation, true, false, value = code[position]
        position += 1
        if operation == 0x06:
            return int(value)
        if operation == 0x20:
            (register,) = struct.unpack_from("<I", data, value)
        elif operation == 0x05:
            position += value
        elif operation == 0x54:
            register &= value
        else:
            test = {0x15: register == value, 0x35: register >= value, 0x45: bool(register & value)}[operation]
            position += true if test else false


@pytest.fixture(params=[X86_64, ARM64], ids=["x86_64", "arm64"])
def on(request: pytest.FixtureRequest) -> Machine:
    found: Machine = request.param
    return found


@pytest.mark.parametrize("name", ["read", "openat", "execve", "futex", "statx", "exit_group", "kill", "fchmodat"])
def test_ordinary_calls_pass(on: Machine, name: str) -> None:
    program = seccomp.program(on, own_root=True)
    assert decide(program, on.audit, on.numbers[name]) == ALLOW


@pytest.mark.parametrize(
    "name",
    DOORS.split(),
)
def test_calls_that_open_doors_fail(on: Machine, name: str) -> None:
    program = seccomp.program(on, own_root=True)
    assert decide(program, on.audit, on.numbers[name]) == EPERM


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("clone", (0x01200011,), ALLOW),
        ("clone", (0x10000011,), EPERM),
        ("clone", (0x00020011,), EPERM),
        ("clone3", (), ENOSYS),
        ("mmap", (0, 4096, 3, 0x22), ALLOW),
        ("mmap", (0, 4096, 3, 0x21), EPERM),
        ("mmap", (0, 4096, 3, 0x23), EPERM),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), EPERM),
        ("ioctl", (0, 0x8901), EPERM),
        ("fcntl", (0, 3), ALLOW),
        ("fcntl", (0, 8), EPERM),
        ("fcntl", (0, 10), EPERM),
        ("prctl", (15,), ALLOW),
        ("prctl", (4, 1), EPERM),
        ("prlimit64", (0,), ALLOW),
        ("prlimit64", (1,), EPERM),
        ("socketpair", (1,), ALLOW),
        ("socketpair", (2,), EPERM),
    ],
)
def test_arguments_are_looked_at(on: Machine, name: str, arguments: tuple[int, ...], answer: int) -> None:
    assert decide(seccomp.program(on, own_root=True), on.audit, on.numbers[name], arguments) == answer


def test_without_a_root_of_its_own_a_run_changes_no_metadata_and_signals_few(on: Machine) -> None:
    program = seccomp.program(on, own_root=False, signals_to=(0, 77))
    assert decide(program, on.audit, on.numbers["fchmodat"]) == EPERM
    assert decide(program, on.audit, on.numbers["fchmod"]) == ALLOW
    assert decide(program, on.audit, on.numbers["kill"], (77, 9)) == ALLOW
    assert decide(program, on.audit, on.numbers["kill"], (78, 9)) == EPERM
    assert decide(program, on.audit, on.numbers["kill"], (2**32 - 1, 9)) == EPERM


def test_foreign_calls_kill_and_unknown_ones_do_not_exist(on: Machine) -> None:
    program = seccomp.program(on, own_root=True)
    other = ARM64 if on is X86_64 else X86_64
    assert decide(program, other.audit, on.numbers["read"]) == KILL
    assert decide(program, on.audit, 999) == ENOSYS
    assert decide(seccomp.program(X86_64, own_root=True), X86_64.audit, 0x40000000) == KILL


@pytest.mark.parametrize("which", HEADERS)
def test_numbers_are_those_of_the_kernel(which: str) -> None:
    table, header, pattern = HEADERS[which]
    if not header.exists():
        pytest.skip(f"{header} is not installed")
    known = {name: int(number) for name, number in re.findall(pattern, header.read_text())}
    names = {n: OTHER_NAMES.get(n, n) if which == "arm" else n for n in table.numbers}
    checked = {n: known[other] for n, other in names.items() if other in known}
    assert len(checked) > 180
    assert {n: table.numbers[n] for n in checked} == checked


def test_no_number_stands_twice(on: Machine) -> None:
    assert len(set(on.numbers.values())) == len(on.numbers)


def test_a_machine_without_a_table_is_refused() -> None:
    assert machine("aarch64") is ARM64
    with pytest.raises(OSError, match="riscv64"):
        machine("riscv64")
