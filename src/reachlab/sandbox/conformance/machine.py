"""What this machine offers for isolation: found by trying it in a process of its own, never from version numbers."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from reachlab import Json
from reachlab.sandbox.conformance.syscalls import numbers
from reachlab.sandbox.jail import groups

_LANDLOCK = 444
_TRY = """
import ctypes, errno, json, os, sys
unshare, landlock = (int(number) for number in sys.argv[1:])
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    value = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments))
    return (value, "") if value >= 0 else (value, errno.errorcode.get(ctypes.get_errno(), "error"))
def in_child(number, flags):
    receive, send = os.pipe()
    if os.fork() == 0:
        os.write(send, call(number, flags)[1].encode() or b"ok")
        os._exit(0)
    os.wait()
    return os.read(receive, 100).decode()
abi, why = call(landlock, 0, 0, 1)
print(json.dumps({
    "user": in_child(unshare, 0x10000000),
    "all": in_child(unshare, (0x10000000 if os.getuid() else 0) | 0x6C020000),
    "landlock": abi if abi > 0 else why,
}))
"""


def facts() -> Json:
    """Each with what was found: ``ok``, a number, or the error that said no."""
    known = numbers()
    found: Json = {"system": f"{platform.system()} {platform.release()} {platform.machine()}", "user": os.geteuid()}
    if not known or not sys.platform.startswith("linux"):
        return found | {"isolation": "unknown: neither Linux on x86-64 nor on arm64"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _TRY, str(known["unshare"]), str(_LANDLOCK)],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    tried = json.loads(done.stdout) if done.returncode == 0 else {}
    return found | {
        "user namespaces": tried.get("user", done.stderr[-200:]),
        "mount, process, network and ipc namespaces": tried.get("all", "not tried"),
        "Landlock version": tried.get("landlock", "not tried"),
        "seccomp": "ok" if Path("/proc/sys/kernel/seccomp/actions_avail").exists() else "missing",
        "cgroups": _cgroups(),
    }


def _cgroups() -> str:
    """Whether this process can make a group with limits of its own."""
    found, why = groups.made()
    if found is None:
        return why
    found.remove()
    return f"ok, version {found.version}"
