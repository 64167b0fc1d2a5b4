"""A retriever behind Search-R1's ``/retrieve``, ours or anybody's.

::

    HttpRetriever("http://localhost:8000").retrieve("red fox", k=3)

Every attempt ends after ``seconds``, and there are ``attempts`` of them with growing pauses: where the connection
fails, the answer does not come in time, or the server says 429 or 5xx. What fails then, and an answer that is none, is
``ToolFault``: what a server does is never an observation. Not covered: authentication, pushing documents.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from reachlab.errors import BadValue, ToolFault
from reachlab.tools.executor import within
from reachlab.tools.retrieval.protocol import MOST_QUERIES, ROUTE, Request, results
from reachlab.tools.retrieval.records import Hit, check_k, clean, texts_of

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 64 * 2**20
LONGEST_PAUSE = 5.0


class _Again(Exception):
    """An attempt that failed in a way that the next may not."""


class HttpRetriever:
    """Asks the server at *url*; the route is added where *url* has no path. Safe for threads and forks."""

    def __init__(self, url: str, seconds: float = 10.0, attempts: int = 3, pause: float = 0.1) -> None:
        """*pause*: seconds before the second attempt; doubled before each later one."""
        parts = _parts(url)
        if not 0 < seconds < float("inf") or not 0 <= pause <= LONGEST_PAUSE:
            raise BadValue("seconds and pause", (seconds, pause), f"seconds > 0, a pause from 0 to {LONGEST_PAUSE}")
        if type(attempts) is not int or attempts < 1:
            raise BadValue("attempts", attempts, "a whole number, >= 1")
        self.url = url.rstrip("/") + ROUTE if parts.path in ("", "/") else url
        self._seconds, self._attempts, self._pause = seconds, attempts, pause
        self._clients: dict[int, httpx.Client] = {}

    def retrieve(self, query: str, k: int) -> list[str]:
        return texts_of(self.hits(query, k))

    def hits(self, query: str, k: int) -> list[Hit]:
        return self.batch([query], k)[0]

    def batch(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Hits of many queries; a request holds as many as the protocol allows. Blank ones are not asked: many servers
        fail on them, and what a policy writes is no fault."""
        check_k(k)
        asked = [clean(query) for query in queries if query.strip()]
        chunks = [asked[i : i + MOST_QUERIES] for i in range(0, len(asked), MOST_QUERIES)]
        found = (hits for chunk in chunks for hits in self._ask(chunk, k))
        return [next(found) if query.strip() else [] for query in queries]

    def close(self) -> None:
        """Close this process's connections. Idempotent; a later call opens new ones."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def _ask(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        body = json.dumps(Request(tuple(queries), k, True).to_json()).encode()
        said = self._patiently(body)
        try:
            return results(json.loads(said), len(queries), k)
        except (ValueError, OverflowError, RecursionError) as error:
            raise ToolFault(f"{self.url} does not answer as /retrieve does: {error}") from error

    def _patiently(self, body: bytes) -> bytes:
        problem: Exception | None = None
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(min(self._pause * 2 ** (attempt - 1), LONGEST_PAUSE))
            try:
                return self._attempt(body)
            except _Again as error:
                problem = error
        times = f"{self._attempts} attempt{'s' if self._attempts > 1 else ''}"
        raise ToolFault(f"{self.url} did not answer in {times} of at most {self._seconds:g} s: {problem}") from problem

    def _attempt(self, body: bytes) -> bytes:
        import httpx

        client = self._client()
        try:
            # The client's own timeouts are for each packet: a server that drips bytes would hold us for ever.
            exchanged: tuple[int, bytes] = within(self._seconds, lambda: self._exchange(client, body))
        except (httpx.TransportError, ToolFault) as error:
            raise _Again(f"{type(error).__name__}: {error}") from error
        except httpx.HTTPError as error:
            raise ToolFault(f"{self.url}: {type(error).__name__}: {error}") from error
        status, said = exchanged
        if status == 200 and len(said) <= MOST_BYTES:
            return said
        problem = f"status {status}: {said[:200].decode('utf-8', 'replace')}"
        if status == 429 or status >= 500:
            raise _Again(problem)
        raise ToolFault(f"{self.url} refuses, or answers with more than {MOST_BYTES} bytes: {problem}")

    def _exchange(self, client: httpx.Client, body: bytes) -> tuple[int, bytes]:
        """Status and body, cut a little above the most bytes."""
        until = time.monotonic() + self._seconds
        said = bytearray()
        with client.stream("POST", self.url, content=body, headers={"Content-Type": "application/json"}) as answer:
            for chunk in answer.iter_bytes():
                said += chunk
                if time.monotonic() > until:
                    raise ToolFault("the answer had not ended in time")
                if len(said) > MOST_BYTES:
                    break
        return answer.status_code, bytes(said)

    def _client(self) -> httpx.Client:
        import httpx

        # No lock: another thread could hold it while this process forks. Two threads may make one; the first stays.
        found = self._clients.get(os.getpid())
        return found or self._clients.setdefault(os.getpid(), httpx.Client(timeout=self._seconds))


def _parts(url: str) -> SplitResult:
    allowed = "http:// or https:// with a host; the path /retrieve is added if there is none"
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:  # a port beyond 65535, half an address of version 6
        raise BadValue("url", url, f"{allowed} ({error})") from error
    if not known:
        raise BadValue("url", url, allowed)
    return parts
