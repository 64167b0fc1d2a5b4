"""Where an MCP server is and how long it may take; what a server is known by.

Secrets do not belong in a Spec, which is written into results: ``${NAME}`` in a header or in an environment value is
filled in from this process's environment when a session opens (``$$`` is a dollar sign).

Not covered: the older HTTP+SSE transport.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from string import Template
from typing import Any, TextIO

from reachlab.errors import BadValue, ToolFault
from reachlab.tools.mcp.sdk import sdk
from reachlab.tools.outside.supervise import supervised

Pairs = tuple[tuple[str, str], ...]
MOST_EVENT_BYTES = 64 * 2**20
"""Of one message over HTTP."""
GRACE_SECONDS = 1.0
"""Between SIGTERM and SIGKILL for a server that did not end when its input did."""


@dataclass(frozen=True)
class Limits:
    """Seconds that each step may take."""

    start: float = 30.0
    """Opening a session: starting the process, the handshake."""
    call: float = 30.0
    """One request."""
    stop: float = 10.0
    """Closing a session. A server that ignores the end of its input is ended after two, or killed after three."""

    def __post_init__(self) -> None:
        for name in ("start", "call", "stop"):
            if not getattr(self, name) > 0:
                raise BadValue(f"{name} limit of an MCP server", getattr(self, name), "seconds, > 0")


@dataclass(frozen=True)
class StdioServer:
    """A command that speaks MCP on its standard streams."""

    command: tuple[str, ...]
    env: Pairs = ()
    """Beside HOME, PATH and the like; nothing else of this process's environment is handed on."""
    cwd: str | None = None

    def __post_init__(self) -> None:
        if not self.command or not all(isinstance(part, str) for part in self.command):
            raise BadValue("command of an MCP server", self.command, 'a list of texts, e.g. ["python", "server.py"]')

    def __str__(self) -> str:
        return shlex.join(self.command)

    async def connect(self, stack: AsyncExitStack, limits: Limits, errlog: TextIO) -> Any:
        """What the library's ``Client`` connects to."""
        environment = filled(self.env)
        path = environment.get("PATH", os.environ.get("PATH"))
        if shutil.which(self.command[0], path=path) is None:
            raise ToolFault(f"MCP server {self}: there is no command {self.command[0]!r}")
        program, *arguments = supervised(list(self.command), GRACE_SECONDS, tell=True)
        parameters = sdk().StdioServerParameters(command=program, args=arguments, env=environment, cwd=self.cwd)
        return sdk().stdio_client(parameters, errlog)


@dataclass(frozen=True)
class HttpServer:
    """An address that speaks MCP over streamable HTTP."""

    url: str
    headers: Pairs = ()

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not self.url.startswith(("http://", "https://")):
            raise BadValue("url of an MCP server", self.url, "http://... or https://...")

    def __str__(self) -> str:
        return self.url

    async def connect(self, stack: AsyncExitStack, limits: Limits, errlog: TextIO) -> Any:
        """What the library's ``Client`` connects to."""
        httpx2 = sdk("httpx2")
        # Requests are limited one level up; reading may take longer, since a server can hold a stream open.
        timeout = httpx2.Timeout(limits.start, read=max(300.0, 2 * limits.call))
        client = await stack.enter_async_context(httpx2.AsyncClient(headers=filled(self.headers), timeout=timeout))
        connect: Callable[..., Any] = sdk("mcp.client.streamable_http").streamable_http_client
        return connect(self.url, http_client=client, max_sse_event_size=MOST_EVENT_BYTES)


Server = StdioServer | HttpServer


def pairs(mapping: Mapping[str, str] | None) -> Pairs:
    """*mapping* in a form that can be a key."""
    return tuple(sorted((mapping or {}).items()))


def filled(values: Pairs) -> dict[str, str]:
    """With ``${NAME}`` filled in. The values never appear in an error."""
    out = {}
    for name, value in values:
        try:
            out[name] = Template(value).substitute(os.environ)
        except (KeyError, ValueError) as error:
            allowed = "${NAME} of a set environment variable; $$ for a dollar sign"
            raise BadValue(f"value of {name!r} for an MCP server", str(error), allowed) from None
    return out
