"""The client of Search-R1's protocol: whatever a server does wrong is a fault, in bounded time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from reachlab import ToolCall
from reachlab.errors import BadValue, ToolFault
from reachlab.tools import ToolExecutor
from reachlab.tools.retrieval import Bm25, Hit, HttpRetriever, RetrievalServer, search_tool
from reachlab.tools.retrieval.protocol import results

from .conftest import DOCUMENTS
from .wire import client, impostor

OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
ONE = json.dumps({"result": [[{"document": {"contents": "found"}, "score": 1}]]}).encode()


def test_a_batch_is_asked_in_requests_of_the_size_allowed() -> None:
    with RetrievalServer(Bm25(DOCUMENTS)) as server, client(server.url, seconds=20) as retriever:
        found = retriever.batch(["red fox", "zebra"] * 1000, 1)
    assert len(found) == 2000 and found[0][0].id == "d0" and found[1] == []


def test_an_unreachable_server_is_a_fault_after_all_attempts() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    with client(f"http://127.0.0.1:{port}") as retriever:
        tools = ToolExecutor([search_tool(retriever, k=1, description="Search.")])
        with pytest.raises(ToolFault, match="in 3 attempts .*ConnectError"):
            tools.execute([ToolCall("search", {"query": "fox"})])


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"[]", b"{}", b'{"result": []}', b'{"result": [[], []]}', b'{"result": [5]}', b'{"result": [[5]]}',
     b'{"result": [[{"document": {}}]]}', b'{"result": [[{"document": {"contents": "x"}, "score": "high"}]]}',
     b'{"result": [[{"document": {"contents": "x"}, "score": NaN}]]}',
     b'{"result": [[{"document": {"contents": "x"}, "score": 1%s}]]}' % (b"0" * 400), b"[" * 100_000],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_fault_at_once(body: bytes) -> None:
    with impostor(lambda c: c.sendall(OK % (len(body), body))) as (url, seen), client(url) as retriever:
        with pytest.raises(ToolFault, match="does not answer as /retrieve does"):
            retriever.retrieve("fox", 1)
        assert len(seen) == 1


@pytest.mark.parametrize(
    ("raw", "attempts"),
    [(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 3), (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 3),
     (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 1), (b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n", 1),
     (b"HTTP/1.1 302 No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 1), (b"", 3), (b"garbage\r\n\r\n", 3),
     (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", 3)],
)  # fmt: skip
def test_only_what_may_pass_is_tried_again(raw: bytes, attempts: int) -> None:
    with impostor(lambda c: c.sendall(raw)) as (url, seen), client(url) as retriever:
        with pytest.raises(ToolFault):
            retriever.retrieve("fox", 1)
        assert len(seen) == attempts


def test_a_server_that_recovers_is_no_fault() -> None:
    answers = iter([b"", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", OK % (len(ONE), ONE)])
    with impostor(lambda c: c.sendall(next(answers))) as (url, _), client(url) as retriever:
        assert retriever.hits("fox", 1) == [Hit("found", "found", 1.0)]


@pytest.mark.parametrize("place", ["silence", "head", "body"])
def test_a_server_that_drips_or_hangs_does_not_hold_us(place: str) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall({"silence": b"", "head": b"HTTP/1.1 200 OK\r\nX: ", "body": OK % (9999, b"")}[place])
        for _ in range(12):
            time.sleep(0.1)
            connection.sendall(b"" if place == "silence" else b"x")

    with impostor(drip) as (url, _), client(url, seconds=0.3, attempts=1) as retriever:
        began = time.monotonic()
        with pytest.raises(ToolFault, match="did not answer in 1 attempt"):
            retriever.retrieve("fox", 1)
        assert time.monotonic() - began < 2


def test_other_servers_forms_of_documents_are_read() -> None:
    documents = [{"document": {"id": 3, "title": "T", "text": "body"}}, {"contents": "plain"}, "bare"]
    assert results({"result": [documents]}, 1, 2) == [[Hit("3", "T\nbody", 1.0), Hit("plain", "plain", 0.5)]]
    assert results({"result": [documents]}, 1, 3)[0][2] == Hit("bare", "bare", 1 / 3)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/", "http://", "", "http://h:99999", "http://[::1"])
def test_urls_are_checked(url: str) -> None:
    with pytest.raises(BadValue, match="url: got"):
        HttpRetriever(url)
    assert HttpRetriever("http://h:1/").url == "http://h:1/retrieve" and HttpRetriever("http://h/a").url == "http://h/a"


SLOW = """
import time
from reachlab.tools.retrieval import RetrievalServer
class Slow:
    def retrieve(self, query, k):
        if query != "warm-up":
            time.sleep(60)
        return ["x"]
server = RetrievalServer(Slow())
print(server.url, flush=True)
server.run()
"""


@pytest.mark.smoke
def test_a_server_killed_in_the_middle_of_a_call_is_a_fault() -> None:
    process = subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, client(process.stdout.readline().strip(), seconds=20.0) as retriever:
        assert retriever.retrieve("warm-up", 1) == ["x"]
        threading.Timer(0.5, os.kill, (process.pid, signal.SIGKILL)).start()
        began = time.monotonic()
        with pytest.raises(ToolFault, match="did not answer"):
            retriever.retrieve("fox", 1)
        assert time.monotonic() - began < 10


def test_what_a_policy_writes_is_no_trouble_for_a_server_that_is_picky() -> None:
    class Picky:
        def retrieve(self, query: str, k: int) -> list[str]:
            query.encode()  # lone surrogates
            if not query.strip():
                raise ValueError("an empty query")
            return [query]

    with RetrievalServer(Picky()) as server, client(server.url, attempts=1) as retriever:
        found = retriever.batch(["", "fox", " \n", "\ud800 fox"], 1)
        assert [[h.text for h in hits] for hits in found] == [[], ["fox"], [], ["? fox"]]


def test_a_child_forked_while_a_client_is_made_is_not_stuck() -> None:
    retriever = HttpRetriever("http://127.0.0.1:9", seconds=1, attempts=1)
    locks = [held for held in vars(retriever).values() if hasattr(held, "acquire")]
    assert locks == [], "a lock that another thread holds at the fork is never released in the child"
