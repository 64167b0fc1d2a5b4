"""The server of Search-R1's protocol: its wire, what it refuses, and load."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from reachlab.errors import BadValue, ToolFault
from reachlab.tools.retrieval import Bm25, RetrievalServer
from reachlab.tools.retrieval import server as server_module

from .conftest import DOCUMENTS
from .wire import client, post


@pytest.fixture
def server() -> Iterator[RetrievalServer]:
    with RetrievalServer(Bm25(DOCUMENTS)) as running:
        yield running


def test_the_wire_is_that_of_search_r1(server: RetrievalServer) -> None:
    asked = {"queries": ["red fox", "zebra"], "topk": 1, "return_scores": True}
    status, said = post(server.url, json.dumps(asked).encode())
    hit = Bm25(DOCUMENTS).hits("red fox", 1)[0]
    assert (status, said) == (
        200, {"result": [[{"document": {"id": "d0", "contents": hit.text}, "score": hit.score}], []]})  # fmt: skip
    assert post(server.url, b'{"queries": ["red fox"], "topk": 1}')[1] == {
        "result": [[{"id": "d0", "contents": hit.text}]]}  # fmt: skip
    assert len(post(server.url, b'{"queries": ["the red bear same"]}')[1]["result"][0]) == 3
    assert post(server.url, b'{"queries": []}') == (200, {"result": []})


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "not JSON"), (b"\xff\xfe\xfa", 400, "not JSON"), (b"[" * 100_000, 400, "not JSON"),
        (b"[]", 422, "a JSON object"), (b"{}", 422, "queries"), (b'{"queries": "red"}', 422, "a list of texts"),
        (b'{"queries": [1]}', 422, "a list of texts"), (b'{"queries": ["a"], "topk": 0}', 422, "topk"),
        (b'{"queries": ["a"], "topk": 1.5}', 422, "topk"), (b'{"queries": ["a"], "topk": true}', 422, "topk"),
        (b'{"queries": ["a"], "topk": 1000000}', 422, "1 to 1000"),
        (b'{"queries": ["a"], "return_scores": 1}', 422, "return_scores"),
        (json.dumps({"queries": ["a"] * 5000}).encode(), 422, "at most 1024"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told_what_is_wrong(server: RetrievalServer, body: bytes, status: int, said: str) -> None:
    found, answer = post(server.url, body)
    assert found == status and said in answer["detail"]
    assert post(server.url, b'{"queries": ["red fox"]}')[0] == 200


def test_wrong_paths_methods_and_lengths_are_refused(server: RetrievalServer) -> None:
    assert post(server.url, b"{}", path="/search")[0] == 404
    assert post(server.url, b"", path="/retrieve", **{"Content-Length": "abc"})[0] == 400
    assert post(server.url, b"", path="/retrieve", **{"Content-Length": str(2**40)})[0] == 413
    assert post(server.url, b"", path="/retrieve", **{"Content-Length": "9" * 5000})[0] == 413
    parts = urlsplit(server.url)
    for path, status in (("/health", 200), ("/retrieve", 405), ("/", 404)):
        with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)) as connection:
            connection.request("GET", path)
            assert connection.getresponse().status == status


HARDLY_HTTP = (b"POST /retrieve HTTP/1.1", b"nonsense", b"\0" * 100, b"PUT / HTTP/1.1", b"GET / HTTP/9.9")


@pytest.mark.parametrize("raw", HARDLY_HTTP)
def test_what_is_hardly_http_is_refused_in_json(server: RetrievalServer, raw: bytes) -> None:
    parts = urlsplit(server.url)
    with closing(socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)) as connection:
        connection.sendall(raw + b"\r\n\r\n")
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert int(head.split()[1]) in (400, 411, 501, 505) and json.loads(body)["detail"]


def test_a_retriever_that_fails_is_500_and_the_server_lives() -> None:
    class Moody:
        def retrieve(self, query: str, k: int) -> list[str]:
            if query == "bad":
                raise RuntimeError("no luck")
            return ["good"]

    with RetrievalServer(Moody()) as server:
        status, said = post(server.url, b'{"queries": ["bad"]}')
        assert status == 500 and "RuntimeError: no luck" in said["detail"]
        assert post(server.url, b'{"queries": ["x"], "return_scores": true}')[1] == {
            "result": [[{"document": {"id": "good", "contents": "good"}, "score": 1.0}]]}  # fmt: skip


def test_many_clients_at_once_get_their_own_answers(server: RetrievalServer) -> None:
    queries = [d.text for d in DOCUMENTS if d.id != "d5"] * 40  # d4 has the same words, and comes first
    with client(server.url, seconds=20) as retriever, ThreadPoolExecutor(32) as pool:
        assert list(pool.map(lambda q: retriever.retrieve(q, 1)[0], queries)) == queries


def test_connections_above_the_limit_are_turned_away_and_come_back() -> None:
    with RetrievalServer(Bm25(DOCUMENTS), connections=1) as server:
        parts = urlsplit(server.url)
        held = socket.create_connection((parts.hostname or "", parts.port or 0))
        time.sleep(0.2)
        with client(server.url, attempts=1) as retriever, pytest.raises(ToolFault, match="did not answer"):
            retriever.retrieve("red fox", 1)
        held.close()
        with client(server.url, attempts=8, pause=0.1) as retriever:
            assert retriever.retrieve("red fox", 1) == ["the red fox hunts at night"]


def test_a_closed_server_answers_nobody_not_even_whom_it_knows() -> None:
    with RetrievalServer(Bm25(DOCUMENTS)) as server, client(server.url, attempts=1) as retriever:
        assert retriever.retrieve("red fox", 1)
        server.close()
        with pytest.raises(ToolFault, match="did not answer"):
            retriever.retrieve("brown bear", 1)
        server.close()


def test_a_taken_port_is_named(server: RetrievalServer) -> None:
    with pytest.raises(BadValue, match="host and port: got"):
        RetrievalServer(Bm25(DOCUMENTS), port=urlsplit(server.url).port or 0)
    for host in ("no such host", "..", "192.0.2.1"):
        with pytest.raises(BadValue, match="host and port: got"):
            RetrievalServer(Bm25(DOCUMENTS), host)


def test_an_address_of_version_6_is_one_that_clients_can_use() -> None:
    try:
        server = RetrievalServer(Bm25(DOCUMENTS), "::1")
    except BadValue:
        pytest.skip("no IPv6 here")
    with server, client(server.url) as retriever:
        assert retriever.retrieve("red fox", 1) == ["the red fox hunts at night"]


def test_starting_asks_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> str:
        raise AssertionError("a name was looked up, which may take minutes where no name server answers")

    monkeypatch.setattr(socket, "getfqdn", asked)
    RetrievalServer(Bm25(DOCUMENTS), "0.0.0.0").close()


def test_a_request_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "SECONDS", 0.5)
    with RetrievalServer(Bm25(DOCUMENTS)) as server:
        parts = urlsplit(server.url)
        with closing(socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)) as connection:
            began = time.monotonic()
            with pytest.raises(OSError):
                while time.monotonic() - began < 8:
                    connection.sendall(b"X")
                    time.sleep(0.1)
                raise AssertionError("the server still reads")
