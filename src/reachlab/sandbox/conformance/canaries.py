"""Normal programs that every sandbox has to run right: one that stands beside each attack, and the contract's own.

A sandbox that never starts anything would block every attack. Each program is new, so that no answer can be kept.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from contextlib import closing

from reachlab import Sandbox, SandboxLimits, SandboxResult
from reachlab.sandbox.conformance.attack import Canary

LIMITS = SandboxLimits(wall_seconds=10.0, cpu_seconds=10.0)

_NORMAL = """
import hashlib, sys
print("{nonce}", sum(i * i for i in range(1000)), hashlib.sha256(b"{nonce}").hexdigest())
print("{nonce} beside", file=sys.stderr)
sys.exit(5)
"""


_FLOOD = "for _ in range(4000): print('x' * 999)"
_SPIN = "import time\nwhile time.process_time() < 3: pass"


def normal_program(sandbox: Sandbox) -> str:
    """What is wrong with a normal run: output, error output, exit code; empty if nothing is."""
    nonce = secrets.token_hex(8)
    try:
        found = sandbox.run(_NORMAL.format(nonce=nonce), LIMITS)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    wanted = f"{nonce} 332833500 {hashlib.sha256(nonce.encode()).hexdigest()}\n".encode()
    return _differs(found, wanted, f"{nonce} beside\n".encode(), 5)


def _differs(found: SandboxResult, stdout: bytes, stderr: bytes = b"", exit_code: int = 0) -> str:
    for name, value, wanted in (
        ("limit", found.limit, ""), ("stdout", found.stdout, stdout), ("stderr", found.stderr, stderr),
        ("exit_code", found.exit_code, exit_code),
    ):  # fmt: skip
        if value != wanted:
            return f"{name} is {value!r:.200}, not {wanted!r:.200} (stderr: {found.stderr[-200:]!r})"
    return ""


def _ends_by(limit: str, code: str, limits: SandboxLimits) -> Callable[[Sandbox], str]:
    """A program that cannot but run into a limit: the result names it."""

    def canary(sandbox: Sandbox) -> str:
        found = sandbox.run(code, limits)
        return "" if found.limit == limit else f"the result names {found.limit!r}, not {limit!r}"

    return canary


def _shell(sandbox: Sandbox) -> str:
    found = sandbox.run('echo "$((6 * 7)) words" | tr a-z A-Z; echo beside >&2; exit 3', LIMITS, "shell")
    return _differs(found, b"42 WORDS\n", b"beside\n", 3)


def _bytes(sandbox: Sandbox) -> str:
    everything = bytes(range(256)) * 4
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 4)"
    return _differs(sandbox.run(code, LIMITS), everything)


def _text(sandbox: Sandbox) -> str:
    text = "é 語 \U0001f600 \u202e \x01"
    return _differs(sandbox.run(f"import sys; sys.stdout.buffer.write({text!r}.encode())", LIMITS), text.encode())


def _literal(sandbox: Sandbox) -> str:
    """The same, as it stands in the code."""
    return _differs(sandbox.run("x = 'é 語 \U0001f600'\nprint(ascii(x))", LIMITS), rb"'\xe9 \u8a9e \U0001f600'" + b"\n")


def _files(sandbox: Sandbox) -> str:
    code = "import os; open('a', 'w').write('x' * 1000); print(os.path.getsize('a'), 'a' in os.listdir('.'))"
    return _differs(sandbox.run(code, LIMITS), b"1000 True\n")


def _input(sandbox: Sandbox) -> str:
    return _differs(sandbox.run("import sys; print(repr(sys.stdin.read()))", LIMITS), b"''\n")


def _long(sandbox: Sandbox) -> str:
    """A program of a megabyte."""
    return _differs(sandbox.run("x = '" + "y" * 2**20 + "'\nprint(len(x))", LIMITS), b"1048576\n")


def _session(sandbox: Sandbox) -> str:
    with closing(sandbox.session()) as session:
        first = session.run("x = 41; open('kept', 'w').write('one')", LIMITS)
        second = session.run("print(x + 1, open('kept').read())", LIMITS)
    return _differs(first, b"") or _differs(second, b"42 one\n")


def _failed_turn(sandbox: Sandbox) -> str:
    """An exception in one turn leaves the session in order."""
    with closing(sandbox.session()) as session:
        first = session.run("x = 1\nraise ValueError('no')", LIMITS)
        second = session.run("print(x)", LIMITS)
    wrong = "" if first.exit_code == 1 and b"ValueError: no" in first.stderr else f"the failed turn reads {first}"
    return wrong or _differs(second, b"1\n")


def _tier(sandbox: Sandbox) -> str:
    return "" if sandbox.run("", LIMITS).tier else "the result does not say what isolated the run"


def _times(sandbox: Sandbox) -> str:
    code = "import time\nwhile time.process_time() < .3: pass\nx = b'x' * (40 << 20)\ntime.sleep(.2)"
    found = sandbox.run(code, LIMITS)
    right = found.wall_seconds >= 0.4 and found.cpu_seconds >= 0.2 and found.peak_bytes >= 40 * 2**20
    shown = f"{found.wall_seconds:.2f} s, {found.cpu_seconds:.2f} s of CPU, {found.peak_bytes / 2**20:.0f} MB"
    return "" if right else f"of 0.5 s, 0.3 s of CPU and more than 40 MB the result says {shown}"


CONTRACT: dict[str, Callable[[Sandbox], str]] = {
    "normal program": normal_program,
    "shell": _shell,
    "bytes": _bytes,
    "text": _text,
    "text in the code": _literal,
    "files": _files,
    "empty standard input": _input,
    "a long program": _long,
    "session": _session,
    "session after an error": _failed_turn,
    "tier": _tier,
    "times and memory": _times,
    "names the limit wall": _ends_by("wall", "import time; time.sleep(3)", SandboxLimits(wall_seconds=0.4)),
    "names the limit cpu": _ends_by("cpu", _SPIN, SandboxLimits(wall_seconds=6.0, cpu_seconds=0.6)),
    "names the limit output": _ends_by("output", _FLOOD, SandboxLimits(output_bytes=9999)),
}
"""What the contract of ``reachlab.Sandbox`` promises to ordinary programs."""


def contract(sandbox: Sandbox) -> tuple[Canary, ...]:
    """All of them, once."""
    return tuple(_canary(name, work, sandbox) for name, work in CONTRACT.items())


def afterwards(sandbox: Sandbox) -> Canary:
    """After everything: a normal program still runs."""
    return _canary("normal program, after all attacks", normal_program, sandbox)


def _canary(name: str, work: Callable[[Sandbox], str], sandbox: Sandbox) -> Canary:
    try:
        why = work(sandbox)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    return Canary(name, not why, why)
