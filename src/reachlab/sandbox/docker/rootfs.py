"""The files of the bundled image: this CPython and its standard library, the C library, a shell with its tools.

Nothing is downloaded. Not covered: packages, and interpreters that do not use glibc.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from reachlab.errors import ToolFault

_PREFIX = "usr/local"
_FOLDERS = ("bin", "lib", "lib64", "usr/bin", f"{_PREFIX}/bin", f"{_PREFIX}/lib", "etc", "tmp", "proc", "dev", "sys")
_SKIPPED = ("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages",
            "dist-packages", "config-*", "*.a", "*.pyo")  # fmt: skip
_TOOLS = """
sh awk base64 basename bc cat chmod cmp cp cut date dd diff dirname du echo env expr false find grep head
id ln ls md5sum mkdir mktemp mv nl nohup od paste printf ps pwd readlink rm rmdir sed seq setsid sha1sum sha256sum
sleep sort split stat tac tail tar tee test timeout touch tr true uname uniq wc xargs yes
"""
_FILES = {"etc/passwd": "nobody:x:65534:65534::/tmp:/bin/sh\n", "etc/group": "nobody:x:65534:\n"}


def fill(root: Path) -> None:
    """Write everything below *root*, which is empty."""
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for link in ("work", "var/tmp"):
        (root / link).parent.mkdir(exist_ok=True)
        (root / link).symlink_to("/tmp")
    for name, text in _FILES.items():
        (root / name).write_text(text)
    _libraries(root, [_interpreter(root), *_standard_library(root), *_shell(root)])


def _interpreter(root: Path) -> Path:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(str(getattr(sys, "_base_executable", "") or sys.executable)).resolve()
    target = root / _PREFIX / "bin" / name
    shutil.copy2(base, target)
    for link in ("python3", "python"):
        (target.parent / link).symlink_to(name)
        (root / "usr/bin" / link).symlink_to(f"/{_PREFIX}/bin/{name}")
    return target


def _standard_library(root: Path) -> Iterable[Path]:
    """Its compiled modules, whose libraries are needed too."""
    target = root / _PREFIX / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in dict.fromkeys((os.path.dirname(os.__file__), sysconfig.get_path("platstdlib"))):
        if os.path.isdir(path):
            shutil.copytree(path, target, symlinks=False, dirs_exist_ok=True, ignore_dangling_symlinks=True,
                            ignore=shutil.ignore_patterns(*_SKIPPED))  # fmt: skip
    return sorted(target.glob("lib-dynload/*.so"))


def _shell(root: Path) -> list[Path]:
    """Busybox under all its names, or the machine's own sh and tools."""
    busybox = shutil.which("busybox")
    if busybox:
        target = root / "bin" / "busybox"
        shutil.copy2(os.path.realpath(busybox), target)
        names = _said([busybox, "--list"]).split()
        for name in sorted(set(names) - {"busybox", "su", "mount", "umount"}):
            (root / "bin" / name).symlink_to("busybox")
        return [target]
    found = [(name, path) for name in _TOOLS.split() if (path := shutil.which(name))]
    for name, path in found:
        shutil.copy2(os.path.realpath(path), root / "bin" / name)
    return [root / "bin" / name for name, _ in found]


def _libraries(root: Path, programs: Iterable[Path]) -> None:
    """Into one folder, found through the linker's cache; the linker itself where programs look for it."""
    needed: dict[str, str] = {}
    for program in programs:
        for line in _said(["ldd", str(program)], failing=True).splitlines():
            name, _, place = line.strip().partition(" => ")
            path = (place or name).split(" (")[0].strip()
            if path.startswith("/"):
                needed[path if not place else f"/lib/{Path(name).name}"] = path
    for place, path in needed.items():
        target = root / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(os.path.realpath(path), target)
    (root / "etc/ld.so.conf").write_text("/lib\n")
    _said([shutil.which("ldconfig") or "/sbin/ldconfig", "-r", str(root)])


def _said(command: list[str], failing: bool = False) -> str:
    """Standard output; *failing*: the program may say no (ldd does of one that is linked statically)."""
    try:
        return subprocess.run(command, check=not failing, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolFault(f"the image cannot be built here: {command[0]}: {error}") from error
