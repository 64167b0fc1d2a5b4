"""Any retriever as a server that speaks Search-R1's ``/retrieve``.

::

    serve(Bm25(documents), port=8000)                     # until interrupted
    with RetrievalServer(Bm25(documents)) as server:      # beside other work, at a free port
        HttpRetriever(server.url).retrieve("red fox", k=3)

The standard library's threading server: one thread a connection, connections above ``connections`` are turned away with
503. A request that is wrong gets 4xx and ``{"detail": what is wrong}``; a retriever that fails, 500. ``GET /health``
answers ``{"status": "ok"}``.

Not covered: encryption and authentication. Whoever reaches the port may search; the default is this machine alone.
"""

from __future__ import annotations

import json
import logging
import math
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from reachlab import Json
from reachlab.errors import BadValue
from reachlab.tools.retrieval.protocol import ROUTE, Request, response
from reachlab.tools.retrieval.records import Retriever, check_k, hits_of

LOG = logging.getLogger(__name__)
HEALTH = "/health"
MOST_BYTES = 16 * 2**20
SECONDS = 30.0
"""A connection that is idle so long is closed, and a request must have come in whole by then."""


class RetrievalServer:
    """Serves *retriever*; *port* 0 takes a free one. *topk* is for requests that do not say."""

    def __init__(
        self, retriever: Retriever, host: str = "127.0.0.1", port: int = 0, topk: int = 3, connections: int = 256
    ) -> None:
        check_k(topk)
        self._http = _listening(host, port, connections)
        self._http.retriever, self._http.topk = retriever, topk
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        host, port = self._http.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def start(self) -> None:
        """Answer in a thread until ``close``."""
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True, name="retrieval")
        self._thread.start()

    def run(self) -> None:
        """Answer in this thread until interrupted."""
        try:
            self._http.serve_forever()
        finally:
            self._http.server_close()

    def close(self) -> None:
        """End all connections and take no more. Idempotent."""
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join(SECONDS)
            self._thread = None
        self._http.server_close()

    def __enter__(self) -> RetrievalServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(retriever: Retriever, host: str = "127.0.0.1", port: int = 8000, topk: int = 3) -> None:
    """Serve until interrupted."""
    RetrievalServer(retriever, host, port, topk).run()


def check_free(host: str, port: int) -> None:
    """``BadValue`` if nobody could listen there now: to be said before an index is made, which may take long."""
    _listening(host, port, 1).server_close()


def _listening(host: str, port: int, connections: int) -> _Http:
    try:
        return _Http((host, port), _Handler, connections)
    except (OSError, OverflowError, UnicodeError) as error:
        allowed = f"an address of this machine that is free ({error})"
        raise BadValue("host and port", f"{host}:{port}", allowed) from error


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    retriever: Retriever
    topk: int

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], connections: int) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self._free = threading.BoundedSemaphore(connections)
        self._open: dict[socket.socket, float] = {}
        """Open connections, and until when the next request must have come in whole: no end while one is answered."""
        super().__init__(address, handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks name servers for its name, which it uses nowhere
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def expect(self, connection: socket.socket, seconds: float) -> None:
        self._open[connection] = time.monotonic() + seconds

    def service_actions(self) -> None:
        """Once in every round of ``serve_forever``: end what drips. A timeout of the socket's is for each byte."""
        for connection, until in list(self._open.items()):
            if time.monotonic() > until:
                _hang_up(connection)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._open):  # clients keep theirs open; they would be answered for ever
            _hang_up(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except BaseException:  # no thread could be started
                self._free.release()
                raise
            return
        body = b'{"detail": "too many connections"}'
        request.settimeout(1)
        with suppress(OSError):
            request.sendall(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self.expect(request, SECONDS)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.pop(request, None)
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        LOG.debug("connection of %s ended", client_address, exc_info=True)  # clients go away when they like


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Refused(Exception):
    """A request that is wrong: the status and what is wrong."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = SECONDS
    server: _Http

    def do_GET(self) -> None:
        if self.path == HEALTH:
            self._say(200, {"status": "ok"})
        elif self.path == ROUTE:
            self._say(405, {"detail": f"{ROUTE} takes POST"})
        else:
            self._say(404, {"detail": f"no {self.path!r} here: POST {ROUTE} or GET {HEALTH}"})

    def do_POST(self) -> None:
        try:
            asked = self._request()
        except _Refused as refused:
            status, what = refused.args
            self.close_connection = True  # part of the body may not have been read
            self._say(status, {"detail": what})
            return
        try:
            self.server.expect(self.connection, math.inf)
            k = asked.topk or self.server.topk
            found = [hits_of(self.server.retriever, query, k) for query in asked.queries]
        except Exception as error:  # whatever a retriever does, the client must hear of it
            LOG.warning("the retriever failed", exc_info=True)
            self._say(500, {"detail": f"the retriever failed: {type(error).__name__}: {error}"})
            return
        self._say(200, response(found, asked.return_scores))

    def _request(self) -> Request:
        if self.path != ROUTE:
            raise _Refused(404, f"no {self.path!r} here: POST {ROUTE}")
        body = self._body()
        try:
            said = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise _Refused(400, f"the body is not JSON: {error}") from error
        try:
            return Request.from_json(said)
        except BadValue as error:
            raise _Refused(422, str(error)) from error

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length")
        if length is None:
            raise _Refused(411, "a Content-Length is needed")
        if not (length.isascii() and length.isdigit()):
            raise _Refused(400, f"Content-Length is {length!r}")
        if len(length) > 9 or int(length) > MOST_BYTES:
            raise _Refused(413, f"the body has {length[:20]} bytes, at most {MOST_BYTES} are read")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _Refused(408, f"the body ended after {len(body)} of {length} bytes")
        return body

    def _say(self, status: int, content: Json) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.server.expect(self.connection, SECONDS)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses (no HTTP, other methods) is told as ours is, not in HTML."""
        self.request_version, self.close_connection = self.protocol_version, True
        self._say(int(code), {"detail": message or explain or "the request is not HTTP as it should be"})

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug(format, *args)
