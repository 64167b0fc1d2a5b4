"""JSON over HTTP with one server: bounded, tried again, and clear about what was wrong.

Not covered: streaming; other ways to sign in than a bearer token.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import httpx

from reachlab import Json
from reachlab.errors import PolicyFault
from reachlab.policies.chat_model.retry import Retry

CONNECT_SECONDS = 10.0
"""Seconds in which a server that is there takes a connection."""


class Refused(PolicyFault):
    """An answer of HTTP that is no success; ``status_code`` says whether another attempt may help."""

    def __init__(self, response: httpx.Response) -> None:
        self.status_code = response.status_code
        super().__init__(f"HTTP {response.status_code} from {response.url}: {_reason(response)}")


@dataclass
class Client:
    """Requests to *url*, which ends in ``/v1`` or the like."""

    url: str
    key: str = ""
    retry: Retry = field(default_factory=Retry)
    connections: int = 64

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        limits = httpx.Limits(max_connections=self.connections, max_keepalive_connections=self.connections)
        timeout = httpx.Timeout(self.retry.seconds, connect=min(self.retry.seconds, CONNECT_SECONDS))
        self._http = httpx.Client(headers=headers, timeout=timeout, limits=limits)
        weakref.finalize(self, self._http.close)

    def get(self, path: str) -> Json:
        return self.retry.run(lambda: _read(self._http.get(self.url + path)), Event())

    def post(self, path: str, body: Json, stop: Event | None = None) -> Json:
        return self.retry.run(lambda: self.once(path, body), stop or Event())

    def once(self, path: str, body: Json) -> Json:
        """A single attempt."""
        return _read(self._http.post(self.url + path, json=body))


def _read(response: httpx.Response) -> Json:
    if not response.is_success:
        raise Refused(response)
    try:
        found = response.json()
    except ValueError as error:
        raise PolicyFault(f"{response.url} answered with something else than JSON: {response.text[:80]!r}") from error
    if not isinstance(found, dict):
        raise PolicyFault(f"{response.url} answered with a JSON {type(found).__name__}, not an object")
    return found


def _reason(response: httpx.Response) -> str:
    """What the server says itself, in OpenAI's form or another."""
    try:
        said: Any = response.json()
    except ValueError:
        return response.text[:200]
    said = said.get("error", said) if isinstance(said, dict) else said
    return str(said.get("message", said) if isinstance(said, dict) else said)[:300]
