"""The minimal root of the namespace jail: what is bound into it, and how it becomes the root.

Seen inside: the interpreter's prefix without its site-packages, the packages that were preimported, /usr/bin and the
libraries, all read-only; /dev with null, random and urandom; an empty writable /work, which is also /tmp.
Not covered: /home, /etc (but for names and the linker's cache), /var, /sys and the rest of the host: absent.
"""

from __future__ import annotations

import os
import shutil
import sys

from .syscalls import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    mount,
    pivot_here,
    set_mount_flags,
)

WORK = "/work"
NOBODY = 65534
_SYSTEM = ("/usr/bin", "/bin", "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/alternatives")
_DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")
_LINKS = {"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
          "/dev/stderr": "/proc/self/fd/2", "/dev/shm": WORK, "/tmp": WORK}  # fmt: skip
_FILES = {"/etc/passwd": f"nobody:x:{NOBODY}:{NOBODY}::{WORK}:/bin/sh\n", "/etc/group": f"nobody:x:{NOBODY}:\n"}


def readable(packages: list[str]) -> list[str]:
    """The host's paths that the code may read: system, interpreter, what is loaded already, packages."""
    paths = [path for path in _SYSTEM if os.path.isdir(path)]
    if sys.base_prefix != "/usr":
        candidates = [os.path.join(sys.base_prefix, part) for part in ("bin", "lib", "lib64")]
        paths += [path for path in candidates if os.path.isdir(path)]
    for path in [*packages, *_mapped()]:
        if not any(_below(path, parent) for parent in paths):
            paths.append(path)
    return paths


def _below(path: str, parent: str) -> bool:
    if os.sep + "site-packages" in path.removeprefix(parent):
        return False
    return os.path.realpath(path).startswith(os.path.realpath(parent) + os.sep) and path.startswith(parent + os.sep)


def _mapped() -> list[str]:
    """Files mapped by this process: libraries from wherever they came."""
    with open("/proc/self/maps", "rb") as file:
        lines = file.read().decode(errors="surrogateescape").splitlines()
    found = {line[line.index("/") :] for line in lines if "/" in line}
    return sorted(path for path in found if os.path.isfile(path))


def site_packages() -> list[str]:
    """Where the base interpreter keeps third-party packages: the host's, so they are covered."""
    library = os.path.dirname(os.__file__)
    return [path for name in ("site-packages", "dist-packages") if os.path.isdir(path := os.path.join(library, name))]


def enter(packages: list[str]) -> None:
    """Build the root and make it ours. Needs a mount and a pid namespace, both new, and to be first in the latter."""
    paths = readable(packages)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    new = "/proc"  # nothing that gets bound lies below it; the old /proc stays beneath until the pivot
    before = os.open(new, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mount("tmpfs", new, "tmpfs", MS_NOSUID, "mode=755,size=1m,nr_inodes=4096")
    os.chdir(new)
    for path in ("proc", WORK[1:], "etc", "dev"):
        os.makedirs(path, exist_ok=True)
    covered = [path for path in site_packages() if any(_below(path, p) or path.startswith(p + "/") for p in paths)]
    _fill(new, paths, covered)
    set_mount_flags(new, MS_RDONLY | MS_NOSUID, recursive=True)
    # Mounted before the old root goes: an unprivileged mount of /proc wants one in sight already.
    mount("proc", new + "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.close(before)
    pivot_here()


def _fill(new: str, paths: list[str], covered: list[str]) -> None:
    late = [path for path in paths if any(path.startswith(cover + "/") for cover in covered)]
    for path in [p for p in paths if p not in late]:
        _bind(new, path)
    for cover in covered:
        if os.path.isdir(new + cover):
            mount("tmpfs", new + cover, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64k")
    for path in [*late, *_DEVICES]:
        _bind(new, path)
    for link, target in _LINKS.items():
        if not os.path.lexists(new + link):  # /tmp may hold packages: it is read-only then
            os.symlink(target, new + link)
    for path, text in _FILES.items():
        with open(new + path, "w") as file:
            file.write(text)
    if os.path.isfile("/etc/ld.so.cache"):
        shutil.copyfile("/etc/ld.so.cache", new + "/etc/ld.so.cache")


def _bind(new: str, path: str) -> None:
    target = new + path
    if os.path.lexists(target) or not os.path.exists(path):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path) and path in _SYSTEM:
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    mount(path, target, None, MS_BIND | MS_REC)
