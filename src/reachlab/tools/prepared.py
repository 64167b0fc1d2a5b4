"""A LangChain tool made ready to be called millions of times: its schema, its validation and its fastest caller.

``BaseTool.invoke`` takes about 0.3 ms, nearly all of it callbacks. A ``StructuredTool`` or ``Tool`` that needs
nothing from that machinery is called directly: arguments through its ``args_schema``, then the function. Every other
tool goes through ``invoke``. Both ways give the same text; ``tests/tools`` holds them to it.

Not covered: streaming tools; tools that are changed once they are prepared (a refusal for that reason is a fault).
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, Tool, ToolException
from pydantic import BaseModel, RootModel, ValidationError

from reachlab import Json
from reachlab.caching import ByIdentity
from reachlab.errors import BadValue
from reachlab.tools.arguments import (
    Misfit,
    accepted,
    episodic,
    hidden_fields,
    hidden_names,
    ill_formed,
    is_model,
    misfits,
    named,
    of_policy,
    shown_schema,
)
from reachlab.tools.episodic import PerEpisode

Direct = Callable[[dict[str, Any]], Any]

_MACHINERY = {"config", "callbacks", "run_manager"}
"""Parameters that only ``invoke`` can fill."""


@dataclass(frozen=True, eq=False)
class PreparedTool:
    """One tool and what is known about it; ``prepare`` caches these."""

    tool: BaseTool
    name: str
    schema: Json
    """The OpenAI form, as chat templates take it; shared, never to be changed."""
    declared: Any
    """The tool's ``args_schema`` when it was prepared, or what stands for it (``arguments.accepted``)."""
    names: frozenset[str] | None
    """What its function can be called with; None where that is every name."""
    hidden: frozenset[str]
    """Names of arguments that only the harness may fill; a policy that writes them is refused."""
    episodic: Mapping[str, PerEpisode]
    """Those of the hidden arguments that the executor opens once an episode."""
    direct: Direct | None
    """The fast path, or None. Takes raw arguments, the episodic ones among them; raises ``ToolException`` before the
    function runs on arguments that do not fit."""
    is_async: bool
    """A coroutine and nothing else: calls of one turn may run side by side, unless they draw from one seed."""
    stateful: bool
    """Keeps state across calls that making them again does not bring back: an episodic argument that does not say
    ``replays``, or ``metadata={"stateful": True}``."""
    stoppable: bool
    """Says ``metadata={"stoppable": True}``: it works outside this process, and a call past its time is ended there."""
    computes: bool
    """Says ``metadata={"computes": True}``: its results follow from its arguments, not from facts of the task."""

    @property
    def changed(self) -> bool:
        """Whether the tool takes other arguments than when it was prepared."""
        return self.tool.args_schema is not self.declared and shown_schema(self.tool) != self.schema

    def misfits(self, arguments: Mapping[str, Any]) -> list[Misfit]:
        """Why the arguments that a policy may write do not fit. Runs nothing of the tool's."""
        return misfits(self.declared, self.hidden, arguments, self.names)

    def problem(self, arguments: Mapping[str, Any]) -> str:
        """The same in a sentence, or the empty string; and what no tool can take."""
        never = ill_formed(arguments)
        if never:
            return f"{self.name}: {never}"
        refused = self.hidden.intersection(arguments)
        if refused:
            return f"{self.name} takes no argument {min(refused)!r}"
        return _told(self.name, self.misfits(arguments))

    def invoke(self, arguments: Mapping[str, Any]) -> Any:
        """The slow path: LangChain's own, callbacks and handlers included."""
        if self.tool.args_schema is None and is_model(self.declared):  # LangChain would hand over what was written
            read = self.declared.model_validate(dict(arguments))
            arguments = {name: getattr(read, name) for name in read.model_fields_set}
        call = {"name": self.name, "args": dict(arguments), "id": "0", "type": "tool_call"}
        if self.is_async:
            return _finish(self.tool.ainvoke(call))
        try:
            return self.tool.invoke(dict(call))
        except NotImplementedError:  # a class that has a coroutine alone says so here
            if type(self.tool)._arun is BaseTool._arun:
                raise
            return _finish(self.tool.ainvoke(call))


def _told(name: str, found: Sequence[Misfit]) -> str:
    return f"{name}: {'; '.join(map(str, found[:3]))}" if found else ""


def as_tool(given: object) -> BaseTool:
    """*given* if it is a tool; a function with types and a docstring as the tool that it describes."""
    if isinstance(given, BaseTool):
        return given
    if callable(given) and not isinstance(given, type) and inspect.getdoc(given) and is_typed(given):
        return StructuredTool.from_function(given)
    allowed = "a BaseTool, or a function with types and a docstring; decorate it with langchain_core.tools.tool"
    raise BadValue("tool", given, f"{allowed} (this is a plain function)" if inspect.isfunction(given) else allowed)


def is_typed(function: Any) -> bool:
    """Whether *function* can be read: a type for each parameter, and each can be given by name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins
        return False
    by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return all(p.annotation is not inspect.Parameter.empty and p.kind in by_name for p in parameters)


def prepare(tool: BaseTool | Callable[..., Any]) -> PreparedTool:
    """The tool made ready; cached by identity, so that an episode pays nothing for a tool already seen."""
    return _prepare(ByIdentity(tool))


@lru_cache(maxsize=1024)
def _prepare(key: ByIdentity[Any]) -> PreparedTool:
    tool = as_tool(key.held)
    said, opened, declared = tool.metadata or {}, episodic(tool), accepted(tool)
    return PreparedTool(
        tool=tool,
        name=tool.name,
        schema=shown_schema(tool),
        declared=declared,
        names=named(tool) if is_model(declared) else None,
        hidden=hidden_names(tool),
        episodic=opened,
        direct=_direct(tool),
        is_async=isinstance(tool, StructuredTool | Tool) and tool.func is None,
        stateful=bool(said.get("stateful") or not all(marker.replays for marker in opened.values())),
        stoppable=bool(said.get("stoppable")),
        computes=bool(said.get("computes")),
    )


def _direct(tool: BaseTool) -> Direct | None:
    """The direct caller, if nothing that ``invoke`` adds could show in the result."""
    if type(tool) not in (StructuredTool, Tool) or tool.response_format != "content":
        return None
    if tool.callbacks or tool.verbose or tool.handle_tool_error or tool.handle_validation_error:
        return None
    function: Callable[..., Any] | None = tool.func  # type: ignore[attr-defined]
    if function is None or inspect.iscoroutinefunction(function):
        return None
    if _MACHINERY.intersection(inspect.signature(function).parameters):
        return None
    declared = tool.args_schema
    if not is_model(declared) or not _plain(declared) or len(hidden_fields(tool)) > len(episodic(tool)):
        return None
    if type(tool) is Tool and len(declared.model_fields) != 1:
        return None
    return _caller(tool, function, declared)


def _plain(declared: type[BaseModel]) -> bool:
    """Whether the fields of the model are what ``invoke`` hands to the function. It asks ``model_dump`` for them."""
    fields, said = declared.model_fields, declared.model_config
    if issubclass(declared, RootModel) or said.get("extra") == "allow" or said.get("serialize_by_alias"):
        return False
    if declared.__pydantic_decorators__.model_serializers or declared.model_computed_fields:
        return False
    # "args" and "kwargs" stand for variadic parameters; excluded fields never reach the function.
    excluded = any(field.exclude or getattr(field, "exclude_if", None) for field in fields.values())
    return not excluded and not {"args", "kwargs"}.intersection(fields)


def _caller(tool: BaseTool, function: Callable[..., Any], declared: type[BaseModel]) -> Direct:
    validate, name, hidden, positional = declared.model_validate, tool.name, hidden_names(tool), type(tool) is Tool

    def call(arguments: dict[str, Any]) -> Any:
        try:
            values = validate(arguments).__dict__
        except ValidationError as error:
            found = of_policy(error, hidden)
            if not found:  # what the harness opened does not fit: nobody's fault but its own
                raise
            raise ToolException(_told(name, found)) from error
        return function(*values.values()) if positional else function(**values)

    return call


def _finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, also where this thread already runs an event loop (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, asyncio.run, coroutine).result()


def to_text(output: Any) -> str:
    """What a tool returned, as text: JSON where it is not text already, as LangChain does."""
    if isinstance(output, str):
        return output
    if isinstance(output, ToolMessage):
        return to_text(output.content)
    if isinstance(output, list) and output and all(isinstance(b, dict) and b.get("type") == "text" for b in output):
        return "\n".join(str(block.get("text", "")) for block in output)
    try:
        return json.dumps(output, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(output)
