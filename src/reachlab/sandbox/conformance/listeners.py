"""Sockets that the harness really opens on the host, and that nothing inside a sandbox may reach.

Connections wait in the backlog: they are accepted and read after the attack, so no thread is needed. What does not
carry the attack's mark is somebody else's and is dropped.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path


class Listeners:
    """TCP on loopback (4 and 6) and on the machine's own address, UDP, Unix sockets by path and by abstract name."""

    def __init__(self, folder: Path, abstract: str, secret: str) -> None:
        self.places: dict[str, object] = {
            "abstract": abstract, "unix": folder / "socket", "unix_datagram": folder / "datagram", "own_address": "",
            "tcp_port": 0, "tcp6_port": 0, "own_port": 0, "udp_port": 0,
        }  # fmt: skip
        self._streams: dict[str, socket.socket] = {}
        self._datagrams: dict[str, socket.socket] = {}
        self._internet()
        self._unix("unix", str(folder / "socket"), socket.SOCK_STREAM)
        self._unix("unix datagram", str(folder / "datagram"), socket.SOCK_DGRAM)
        self._unix("abstract", f"\0{abstract}", socket.SOCK_STREAM)
        self._unix("secretly named", f"\0{secret}", socket.SOCK_STREAM)

    def heard(self, mark: str) -> list[str]:
        """The listeners that *mark* came to. Empties them all."""
        found = []
        for name, listener in self._streams.items():
            while (data := _accepted(listener)) is not None:
                found += [f"the {name} listener was reached"] if mark.encode() in data else []
        for name, listener in self._datagrams.items():
            with suppress(BlockingIOError):
                while data := listener.recv(4096):
                    found += [f"the {name} listener was reached"] if mark.encode() in data else []
        return found

    def close(self) -> None:
        for listener in (*self._streams.values(), *self._datagrams.values()):
            listener.close()

    def _internet(self) -> None:
        self.places["tcp_port"] = self._stream("tcp", socket.AF_INET, "127.0.0.1")
        with suppress(OSError):  # no IPv6 here
            self.places["tcp6_port"] = self._stream("tcp6", socket.AF_INET6, "::1")
        with suppress(OSError):  # no address but loopback
            own = _own_address()
            self.places |= {"own_port": self._stream("own address", socket.AF_INET, own), "own_address": own}
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        self._datagrams["udp"] = udp
        self.places["udp_port"] = udp.getsockname()[1]

    def _stream(self, name: str, family: int, address: str) -> int:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.bind((address, 0))
            listener.listen(16)
        except OSError:
            listener.close()
            raise
        listener.setblocking(False)
        self._streams[name] = listener
        return int(listener.getsockname()[1])

    def _unix(self, name: str, address: str, kind: int) -> None:
        listener = socket.socket(socket.AF_UNIX, kind)
        listener.bind(address)
        listener.setblocking(False)
        if kind == socket.SOCK_STREAM:
            listener.listen(16)
        if not address.startswith("\0"):
            os.chmod(address, 0o777)
        (self._streams if kind == socket.SOCK_STREAM else self._datagrams)[name] = listener


def _accepted(listener: socket.socket) -> bytes | None:
    """What one waiting connection sent, or None if none waits."""
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return None
    with connection, suppress(OSError):
        connection.settimeout(0.5)
        return connection.recv(4096)
    return b""


def _own_address() -> str:
    """The address that the machine would send from. Nothing is sent; the target is reserved for documentation."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address = str(probe.getsockname()[0])
    if address.startswith("127."):
        raise OSError("only loopback")
    return address
