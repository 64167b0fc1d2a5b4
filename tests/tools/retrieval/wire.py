"""Both ends of the wire for the tests of HTTP: plain requests, a client in a hurry, servers that misbehave."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from reachlab.tools.retrieval import HttpRetriever


def post(url: str, body: bytes, path: str = "/retrieve", **headers: str) -> tuple[int, Any]:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)) as connection:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@contextmanager
def impostor(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[int]]]:
    """A server that does *answer* with each connection; yields its address and one entry for each."""
    seen: list[int] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def loop() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                seen.append(1)
                with connection:
                    try:
                        connection.recv(2**16)
                        answer(connection)
                    except OSError:
                        pass

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", seen
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def client(url: str, **options: Any) -> closing[HttpRetriever]:
    return closing(HttpRetriever(url, **{"seconds": 2.0, "pause": 0.01, **options}))
