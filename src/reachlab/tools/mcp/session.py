"""One open session with an MCP server: a blocking face over the asynchronous client.

The client's scopes must be left by the task that entered them, so each session is one task of the background loop: it
enters, says that it is ready, and waits for the word to leave. Calls come from any thread and overlap.

Not covered: opening a session again after it broke; whoever holds it opens another.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.tools import ToolException

from reachlab import Json
from reachlab.errors import ReachlabError, ToolFault
from reachlab.tools.mcp.content import rendered
from reachlab.tools.mcp.sdk import sdk
from reachlab.tools.mcp.servers import Limits, Server
from reachlab.tools.mcp.stderr import Tail
from reachlab.tools.outside.background import background
from reachlab.tools.outside.remote import Late, Remote

MARGIN_SECONDS = 5.0
"""Beyond the limits that the client keeps itself: only a loop that hangs needs it."""
MOST_PAGES = 100
INVALID_PARAMS = -32602

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opener:
    """Opens sessions; equal openers share one within an episode."""

    server: Server
    limits: Limits
    mode: str = "auto"
    """How the protocol version is negotiated; known once the tools are listed."""
    schemas: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Tool names with their schemas as JSON, as they were when listed."""
    reopening: bool = False
    """A call that was a fault or took too long ends the session, and the next call opens another."""

    def __call__(self) -> Remote:
        if self.reopening:
            return Reopening(replace(self, reopening=False))
        return McpSession(self.server, self.limits, mode=self.mode, schemas=dict(self.schemas))


class Reopening:
    """A ``Remote`` for one caller: a session, and after a call that was a fault or took too long another one."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._session: Remote | None = opener()

    def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        if self._session is None:
            self._session = self._opener()
        try:
            return self._session.call(name, arguments)
        except ToolFault:  # Late among them
            self.close()  # over stdio this ends the process, and what it was busy with
            raise

    def close(self) -> None:
        """Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            session.close()


class McpSession:
    """A ``Remote``. Open when made; ``close`` ends it, and a server process with all it started."""

    def __init__(
        self, server: Server, limits: Limits, *, mode: str = "auto", schemas: Mapping[str, str] | None = None
    ) -> None:
        sdk()
        self._server, self._limits, self._mode, self._schemas = server, limits, mode, schemas or {}
        self._owner = os.getpid()
        self._leave = asyncio.Event()
        self._client: Any = None
        self._tail: Tail | None = None
        self._task: asyncio.Task[None]
        background().run(self._open(), limits.start + limits.stop + MARGIN_SECONDS)

    @property
    def mode(self) -> str:
        """How to connect to this server next time without asking it first."""
        old = sdk("mcp_types.version").HANDSHAKE_PROTOCOL_VERSIONS
        return "legacy" if self._client.protocol_version in old else "auto"

    def tools(self) -> list[Any]:
        """What the server offers, as the library's ``Tool`` records."""
        return background().run(self._asking("listing its tools", self._list()), self._limits.call + MARGIN_SECONDS)

    def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        asked = self._asking(f"calling {name!r}", self._call(name, dict(arguments)))
        return str(background().run(asked, self._limits.call + MARGIN_SECONDS))

    def close(self) -> None:
        """Idempotent. Never raises: an episode that ended well must not fail for it."""
        if os.getpid() != self._owner:  # a forked process's copy: the session is the parent's
            return
        try:
            background().run(self._finish(), self._limits.stop + MARGIN_SECONDS)
        except ToolFault as fault:
            _log.warning("closing the session with MCP server %s: %s", self._server, fault)

    async def _open(self) -> None:
        ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(ready))
        try:
            async with asyncio.timeout(self._limits.start):
                self._client = await asyncio.shield(ready)
        except asyncio.CancelledError:  # the caller is interrupted, and will never close this
            self._task.cancel()
            raise
        except Exception as error:
            await self._finish()
            if isinstance(error, ReachlabError):
                raise
            late = isinstance(error, TimeoutError)
            reason = f"no session within {self._limits.start:g} s" if late else _reason(error)
            raise ToolFault(self._blame("cannot be opened", reason)) from error

    async def _live(self, ready: asyncio.Future[Any]) -> None:
        self._tail = Tail()
        try:
            async with AsyncExitStack() as stack:
                transport = await self._server.connect(stack, self._limits, self._tail.stream)
                late = self._limits.call + MARGIN_SECONDS  # the limit itself is kept here, where it has one meaning
                client = sdk().Client(transport, read_timeout_seconds=late, cache=None, mode=self._mode)
                ready.set_result(await stack.enter_async_context(client))
                await self._leave.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error if isinstance(error, Exception) else ToolFault("cancelled"))
                ready.exception()  # nobody may be waiting any more
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._tail.close()

    async def _finish(self) -> None:
        self._leave.set()
        if self._client is None:
            self._task.cancel()
        done, _ = await asyncio.wait([self._task], timeout=self._limits.stop)
        if not done:
            self._task.cancel()
            raise ToolFault(f"still open after {self._limits.stop:g} s")

    async def _list(self) -> list[Any]:
        found, cursor = [], None
        for _ in range(MOST_PAGES):
            page = await self._client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                return found
        raise ToolFault(self._blame("lists tools without end", f"more than {MOST_PAGES} pages"))

    async def _call(self, name: str, arguments: Json) -> str:
        try:
            result = await self._client.call_tool(name, arguments)
        except sdk().MCPError as error:
            if error.code != INVALID_PARAMS:
                raise
            await self._expect_unchanged(name)
            raise ToolException(error.message) from error
        if result.is_error:
            await self._expect_unchanged(name)
            raise ToolException(rendered(result) or "the tool failed and did not say why")
        return rendered(result)

    async def _expect_unchanged(self, name: str) -> None:
        """A refusal is the policy's only if the policy saw the schema that the server goes by."""
        if name not in self._schemas:
            return
        now = {tool.name: schema_key(tool.input_schema) for tool in await self._list()}
        if now.get(name) != self._schemas[name]:
            what = "has another schema" if name in now else "is gone"
            raise ToolFault(self._blame("has changed since its tools were listed", f"{name!r} {what}"))

    async def _asking(self, doing: str, request: Any) -> Any:
        try:
            async with asyncio.timeout(self._limits.call):
                return await request
        except (ToolException, ReachlabError):
            raise
        except TimeoutError as error:
            reason = f"no answer within {self._limits.call:g} s"
            raise Late(self._blame(f"failed {doing}", reason), self._limits.call) from error
        except Exception as error:
            raise ToolFault(self._blame(f"failed {doing}", _reason(error))) from error

    def _blame(self, what: str, reason: str) -> str:
        said = self._tail.text if self._tail else ""
        return f"MCP server {self._server} {what}: {reason}" + (f" (it said: {said})" if said else "")


def schema_key(schema: Mapping[str, Any]) -> str:
    """A JSON schema as something that can be compared and hashed."""
    return json.dumps(schema, sort_keys=True)


def _reason(error: BaseException) -> str:
    """What went wrong first, out of the groups that task groups wrap it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    code = getattr(error, "code", None)
    return f"{type(error).__name__}: {error}" + (f" (code {code})" if isinstance(code, int) else "")
