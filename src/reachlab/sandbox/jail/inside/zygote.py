"""The zygote: a bare interpreter, started by exec with an empty environment, that forks supervisors on request.

The library starts it with its end of a datagram socket as standard input, sends one message that says what to be, and
then one message, with a descriptor, for each supervisor it wants. The zygote ends when the library does.
Not covered: running anything itself. It has one thread, and nothing that a run does reaches it.
"""

from __future__ import annotations

import array
import builtins
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from _sitebuiltins import Quitter

from . import namespaces, preimport, rootfs, seccomp, supervisor, usage
from .grounds import Ground, Namespaced, Open, Restricted
from .syscalls import one_malloc_arena, small_thread_stacks

_COMMON = ("collections", "functools", "itertools", "math", "re", "string")
_MOST = 1 << 16
_MOST_PASSED = 4
"""Descriptors with one order: the connection, and up to three of a control group."""
_THREAD_STACK = 1 << 20


def main(library: str, parent: int) -> None:
    """Never returns. *library* is the folder to forget about, *parent* a pidfd of the library's process."""
    control = socket.socket(fileno=os.dup(0))
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    sys.path.remove(library)
    setting = json.loads(control.recv(_MOST))
    parent, *folders = [_lowered(descriptor) for descriptor in (parent, *setting["folders"])]
    try:
        zygote = Zygote(setting, parent, folders)
    except BaseException as error:
        control.send(json.dumps({"error": f"{type(error).__name__}: {error}"[:4000]}).encode())
        os._exit(1)
    control.send(json.dumps({"error": ""}).encode())
    zygote.serve(control)


class Zygote:
    """Becomes what its tier asks for; forks what it is asked for."""

    def __init__(self, setting: dict[str, object], parent: int, folders: list[int]) -> None:
        self._tier, self._library, self._parent = setting["tier"], str(setting["library"]), parent
        os.environ.clear()
        os.umask(0o022)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's: the library decides
        uid, gid = os.geteuid(), os.getegid()
        if self._tier == "A":
            namespaces.enter_outer_ring(uid, gid, folders, str(setting["groups"]))
        packages = _preimport(setting["preimport"], setting["path"])
        one_malloc_arena()
        small_thread_stacks(_THREAD_STACK)
        builtins.exit = builtins.quit = Quitter("exit", "Ctrl-D (i.e. EOF)")
        self._program, self._readable = b"", rootfs.readable(packages)
        if self._tier == "A":
            namespaces.settle(packages, root=uid == 0)
            self._program = seccomp.program(own_root=True)
        else:
            usage.check_children()
        if self._tier == "B":
            _check_readable(self._readable, uid)
        gc.collect()
        gc.freeze()

    def serve(self, control: socket.socket) -> None:
        children = select.poll()
        children.register(control, select.POLLIN)
        children.register(self._parent, select.POLLIN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are not waited for
        while True:
            ready = [descriptor for descriptor, _ in children.poll()]
            if self._parent in ready:
                break
            try:
                received, descriptors = _receive(control)
            except OSError:  # the library is gone
                break
            if not received:
                break
            try:
                self._spawn(control, *descriptors)
                control.send(b"+")
            except OSError as error:
                control.send(f"-{error}".encode())
            for descriptor in descriptors:
                os.close(descriptor)
        os._exit(0)

    def _spawn(self, control: socket.socket, connection: int, *group: int) -> None:
        if (namespaces.spawn() if self._tier == "A" else os.fork()) == 0:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                ground = self._ground(group)
                supervisor.serve(socket.socket(fileno=connection), self._parent, ground)
            finally:
                os._exit(1)

    def _ground(self, group: tuple[int, ...]) -> Ground:
        if self._tier == "A":
            return Namespaced(self._program, group)
        return Restricted(self._library, self._readable) if self._tier == "B" else Open(self._library)


def _lowered(descriptor: int) -> int:
    """The library may have many files open: the same file under the lowest number, which a run is sure to close."""
    low = os.dup(descriptor)
    os.close(descriptor)
    return low


def _preimport(names: object, path: object) -> list[str]:
    """Import them with one thread each and forget where they came from; the files to show to those who use them."""
    assert isinstance(names, list) and isinstance(path, list)
    for name in _COMMON:
        importlib.import_module(name)
    before = list(sys.path)
    sys.path += path
    try:
        preimport.load(names)
    finally:
        sys.path[:] = before
    shown = set()
    for name, module in sys.modules.items():
        origin = getattr(module, "__file__", None)
        if "." in name or not isinstance(origin, str):
            continue
        if any(origin.startswith(folder + os.sep) for folder in path):
            package = os.path.basename(origin).startswith("__init__.")
            shown.add(os.path.dirname(origin) if package else origin)
    return sorted(shown)


def _check_readable(paths: list[str], uid: int) -> None:
    """As root, runs get a user of their own, which must be able to read the interpreter."""
    if uid:
        return
    for path in paths:
        while path != "/":
            if not os.stat(path).st_mode & 0o001 and os.path.isdir(path):
                raise PermissionError(f"{path} cannot be entered by another user; use an interpreter that can be read")
            path = os.path.dirname(path)


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    size = array.array("i").itemsize
    data, ancillary, _, _ = control.recvmsg(64, socket.CMSG_SPACE(_MOST_PASSED * size))
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % size])
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return data, list(descriptors)
