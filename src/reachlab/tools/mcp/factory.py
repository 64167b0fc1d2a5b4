"""``mcp_tools``: what a server lists, as LangChain tools.

Not covered: servers that list other tools to other sessions; a call of one that is gone is a fault that says so.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from langchain_core.tools import BaseTool

from reachlab import Json
from reachlab.errors import BadValue, ToolFault, UnknownName
from reachlab.tools.mcp.sdk import sdk
from reachlab.tools.mcp.servers import HttpServer, Limits, Server, StdioServer, pairs
from reachlab.tools.mcp.session import McpSession, Opener, schema_key
from reachlab.tools.outside.remote import RemoteTool, Timeouts, checked_timeouts, json_arguments

_once = threading.Lock()
_OPEN = {"additionalProperties", "unevaluatedProperties", "patternProperties", "allOf", "anyOf", "oneOf", "if", "$ref"}
"""Where one of these stands, arguments may be described elsewhere than under ``properties``."""


class Listing(NamedTuple):
    """What a server offers."""

    tools: tuple[Any, ...]
    opener: Opener


def mcp_tools(
    command: Sequence[str] | None = None,
    url: str | None = None,
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    headers: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
    prefix: str = "",
    shared: bool = False,
    computes: bool = False,
    timeouts: Timeouts = "fault",
    start_seconds: float = Limits.start,
    call_seconds: float = Limits.call,
) -> list[BaseTool]:
    """The tools of the server that *command* starts (with *env*, in *cwd*) or that answers at *url* (with *headers*).

    *names*: only these, in this order. *prefix* comes before each name, where two servers use the same.
    *shared*: one session for the process instead of one per episode. *computes*: results follow from arguments alone.
    *timeouts*: a call past *call_seconds* is a fault, or an observation that says so: where only the policy's arguments
    can make a call long. The same arguments give the same tools, so a family may call this once an episode.
    """
    if (command is None) == (url is None):
        raise BadValue("MCP server", {"command": command, "url": url}, "a command or a url, one of them")
    if isinstance(command, str):
        raise BadValue("command of an MCP server", command, 'a list of texts, e.g. ["python", "server.py"]')
    for given, beside, wanted in ((env, url, "command"), (cwd, url, "command"), (headers, command, "url")):
        if given and beside is not None:
            raise BadValue("option of an MCP server", given, f"none: it goes with a {wanted}")
    server: Server = HttpServer(url, pairs(headers)) if url else StdioServer(tuple(command or ()), pairs(env), cwd)
    limits = Limits(start_seconds, call_seconds)
    with _once:  # a second thread waits for the first one's listing instead of starting the server once more
        chosen = None if names is None else tuple(names)
        return list(_tools(server, limits, chosen, prefix, shared, computes, checked_timeouts(timeouts)))


@lru_cache(maxsize=64)
def _listed(server: Server, limits: Limits) -> Listing:
    with closing(McpSession(server, limits)) as session:
        tools, mode = tuple(session.tools()), session.mode
    schemas = tuple((tool.name, schema_key(tool.input_schema)) for tool in tools)
    return Listing(tools, Opener(server, limits, mode, schemas))


@lru_cache(maxsize=256)
def _tools(
    server: Server,
    limits: Limits,
    names: tuple[str, ...] | None,
    prefix: str,
    shared: bool,
    computes: bool,
    timeouts: Timeouts,
) -> tuple[BaseTool, ...]:
    listing = _listed(server, limits)
    offered = {tool.name: tool for tool in listing.tools}
    for name in names or ():
        if name not in offered:
            raise UnknownName(f"tool of MCP server {server}", name, offered)
    wanted = offered.values() if names is None else [offered[name] for name in names]
    opener = listing.opener if shared else replace(listing.opener, reopening=True)
    stoppable = isinstance(server, StdioServer)
    said = {"computes": computes, "timeouts": timeouts, "stoppable": stoppable}
    return tuple(_tool(tool, opener, prefix, shared, timeouts, said) for tool in wanted)


def _tool(listed: Any, opener: Opener, prefix: str, shared: bool, timeouts: Timeouts, said: Json) -> BaseTool:
    schema = copy(listed.input_schema)
    read_only = bool(listed.annotations and listed.annotations.read_only_hint)
    return RemoteTool.make(
        name=prefix + listed.name,
        description=listed.description or listed.title or listed.name,
        remote_name=listed.name,
        shown=json_arguments(listed.name, schema, _validator(listed.name, schema)),
        opener=opener,
        shared=shared,
        timeouts=timeouts,
        metadata={**said, "stateful": not (shared and read_only)},
    )


def _forget() -> None:
    global _once
    _once = threading.Lock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_forget)


def _validator(name: str, schema: Mapping[str, Any]) -> Any:
    """What holds arguments to the server's schema; references outside of it are not followed.

    Names that a plain schema does not list are refused, as ``prepare`` does: most servers would ignore them silently.
    """
    if not _OPEN.intersection(schema):
        schema = {**schema, "additionalProperties": False}
    validators, registry = sdk("jsonschema.validators"), sdk("referencing").Registry()
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except sdk("jsonschema").SchemaError as error:
        raise ToolFault(f"MCP tool {name!r} has an invalid schema: {error.message}") from error
    return kind(schema, registry=registry)
