"""What stands in front of the attacks' Python code: how they say what happened, and raw system calls.

An attack says THROUGH when it has what it wanted, DENIED with the reason, or ABSENT where this kernel has no such
thing. The words are put together while it runs, so that a traceback that quotes the source never says them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reachlab.sandbox.conformance.syscalls import numbers

COMMON = '''
import os, re, sys
try:
    with open("/proc/self/comm", "w") as _file:
        _file.write("@mark@")
except OSError:
    import ctypes
    ctypes.CDLL(None).prctl(15, b"@mark@", 0, 0, 0)
def through(why=""):
    print("THRO" + "UGH", why, flush=True)
def denied(why=""):
    print("DEN" + "IED", why, flush=True)
def absent(why=""):
    print("ABS" + "ENT", why, flush=True)
def hunt(data):
    """Print the canaries in the data: only the harness knows which are real."""
    for found in sorted(set(re.findall(rb"reachlab-canary-[a-z]+-[0-9a-f]{32}", data))):
        print(found.decode(), flush=True)
def peek(path, quiet=False):
    try:
        with open(path, "rb") as file:
            hunt(file.read(1 << 20))
    except OSError as error:
        quiet or denied(f"{path}: {error.strerror}")
def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
'''

RAW = '''
import ctypes, errno
NUMBERS = @numbers@
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
def syscall(name, *arguments):
    """(value, errno)"""
    if name not in NUMBERS:
        return -1, errno.ENOSYS
    ctypes.set_errno(0)
    longs = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    value = _libc.syscall(ctypes.c_long(NUMBERS[name]), *longs)
    return value, ctypes.get_errno()
def probe(name, *arguments, past=()):
    """Through if it works, or fails with an error that comes only after the permission check."""
    value, error = syscall(name, *arguments)
    if value >= 0 or error in past:
        through(f"{name} = {value} {errno.errorcode.get(error, '')}")
    elif error == errno.ENOSYS:
        absent(f"{name}: ENOSYS")
    else:
        denied(f"{name}: {errno.errorcode.get(error, error)}")
    return value
'''

_PLACE = re.compile(r"@(\w+)@")


def render(code: str, places: Mapping[str, object]) -> str:
    """*code* with ``@name@`` replaced; a name that is not known is a mistake of the attack's author."""
    values = {**places, "numbers": numbers()}
    return _PLACE.sub(lambda match: str(values[match[1]]), code)
