"""A LangChain tool made ready to be called millions of times: its schema, its validation and its fastest caller.

``BaseTool.invoke`` takes about 0.3 ms, nearly all of it callbacks. A ``StructuredTool`` or ``Tool`` that needs
nothing from that machinery is called directly: arguments through its ``args_schema``, then the function. Every other
tool goes through ``invoke``. Both ways give the same text; ``tests/tools`` holds them to it.

Not covered: streaming tools; stopping a call that never returns (see ``Executor``).
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
from typing import Any, TypeGuard

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, Tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from reachlab import Json
from reachlab.caching import ByIdentity
from reachlab.tools.episodic import PerEpisode

Direct = Callable[[dict[str, Any]], Any]

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_MACHINERY = {"config", "callbacks", "run_manager"}
"""Parameters that only ``invoke`` can fill."""


@dataclass(frozen=True, eq=False)
class PreparedTool:
    """One tool and what is known about it; ``prepare`` caches these."""

    tool: BaseTool
    name: str
    schema: Json
    """The OpenAI form, as chat templates take it; shared, never to be changed."""
    hidden: frozenset[str]
    """Arguments that only the harness may fill; a policy that writes them is refused."""
    episodic: Mapping[str, PerEpisode]
    """Those of the hidden arguments that the executor opens once an episode."""
    direct: Direct | None
    """The fast path, or None. Takes raw arguments, the episodic ones among them; raises ``ValidationError`` before
    the function runs on arguments that do not fit."""
    is_async: bool
    """A coroutine and nothing else: calls of one turn may run side by side."""
    stateful: bool
    """Has episodic arguments, or says ``metadata={"stateful": True}``: cannot be restored by replaying its results."""
    stoppable: bool
    """Says ``metadata={"stoppable": True}``: it works outside this process, and a call past its time is ended there."""
    computes: bool
    """Says ``metadata={"computes": True}``: its results follow from its arguments, not from facts of the task."""

    def problem(self, arguments: Mapping[str, Any]) -> str:
        """Why the arguments do not fit, or the empty string. Runs nothing of the tool's."""
        refused = self.hidden.intersection(arguments)
        if refused:
            return f"{self.name} takes no argument {min(refused)!r}"
        declared = self.tool.args_schema
        if declared is None:
            return "" if len(arguments) == 1 else f"{self.name} takes one argument, got {len(arguments)}"
        if isinstance(declared, dict):
            return self._explain(_json_schema_problems(declared, arguments))
        # The shown schema leaves the hidden arguments out, but it loses aliases: use it only where it must be.
        model = self.tool.tool_call_schema if self.hidden else declared
        try:
            if _is_model(model):
                model.model_validate(dict(arguments))
            else:
                model.parse_obj(dict(arguments))  # type: ignore[union-attr]  # a model of pydantic 1
        except ValueError as error:  # what both generations of ValidationError are
            faults = error.errors() if hasattr(error, "errors") else [{"loc": (), "msg": str(error)}]
            return self._explain([f"{'.'.join(map(str, f['loc'])) or 'arguments'}: {f['msg']}" for f in faults])
        return ""

    def invoke(self, arguments: Mapping[str, Any]) -> Any:
        """The slow path: LangChain's own, callbacks and handlers included."""
        call = {"name": self.name, "args": dict(arguments), "id": "0", "type": "tool_call"}
        if self.is_async:
            return _finish(self.tool.ainvoke(call))
        return self.tool.invoke(call)

    def _explain(self, problems: Sequence[str]) -> str:
        return f"{self.name}: {'; '.join(problems[:3])}" if problems else ""


def prepare(tool: BaseTool) -> PreparedTool:
    """The tool made ready; cached by identity, so that an episode pays nothing for a tool already seen."""
    return _prepare(ByIdentity(tool))


@lru_cache(maxsize=1024)
def _prepare(key: ByIdentity[BaseTool]) -> PreparedTool:
    tool = key.held
    said, episodic = tool.metadata or {}, _episodic(tool)
    return PreparedTool(
        tool=tool,
        name=tool.name,
        schema=convert_to_openai_tool(tool),
        hidden=_hidden(tool),
        episodic=episodic,
        direct=_direct(tool),
        is_async=isinstance(tool, StructuredTool | Tool) and tool.func is None,
        stateful=bool(episodic or said.get("stateful")),
        stoppable=bool(said.get("stoppable")),
        computes=bool(said.get("computes")),
    )


def _hidden(tool: BaseTool) -> frozenset[str]:
    """What the tool takes and its schema for the model does not show (``InjectedToolArg`` and its kin)."""
    declared, shown = tool.args_schema, tool.tool_call_schema
    if not _is_model(declared) or not _is_model(shown):
        return frozenset()
    return frozenset(declared.model_fields) - frozenset(shown.model_fields)


def _episodic(tool: BaseTool) -> dict[str, PerEpisode]:
    declared = tool.args_schema
    if not _is_model(declared):
        return {}
    marked = {name: field.metadata for name, field in declared.model_fields.items()}
    return {name: m for name, metadata in marked.items() for m in metadata if isinstance(m, PerEpisode)}


def _is_model(schema: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(schema, type) and issubclass(schema, BaseModel)


def _direct(tool: BaseTool) -> Direct | None:
    """The direct caller, if nothing that ``invoke`` adds could show in the result."""
    if type(tool) not in (StructuredTool, Tool) or tool.response_format != "content":
        return None
    if tool.callbacks or tool.verbose or tool.handle_tool_error or tool.handle_validation_error:
        return None
    if _hidden(tool) - _episodic(tool).keys():
        return None
    function: Callable[..., Any] | None = tool.func  # type: ignore[attr-defined]
    if function is None or inspect.iscoroutinefunction(function):
        return None
    if _MACHINERY.intersection(inspect.signature(function).parameters):
        return None
    schema = tool.args_schema
    if not _is_model(schema) or schema.model_config.get("extra") == "allow":
        return None
    fields = schema.model_fields
    # "args" and "kwargs" stand for variadic parameters; excluded fields never reach the function.
    if {"args", "kwargs"}.intersection(fields) or any(f.exclude for f in fields.values()):
        return None
    return _caller(function, schema.model_validate, single=type(tool) is Tool, count=len(fields))


def _caller(function: Callable[..., Any], validate: Callable[[Any], Any], *, single: bool, count: int) -> Direct | None:
    if not single:
        return lambda arguments: function(**validate(arguments).__dict__)
    if count != 1:
        return None
    return lambda arguments: function(*validate(arguments).__dict__.values())


def _json_schema_problems(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """What a bare JSON schema forbids at its top level; LangChain itself would let everything through."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    problems = [f"{name}: Field required" for name in schema.get("required", ()) if name not in arguments]
    for name, value in arguments.items():
        if name not in properties:
            if not schema.get("additionalProperties"):
                problems.append(f"{name}: no such argument")
            continue
        declared = properties[name].get("type", ())
        allowed = [t for kind in ([declared] if isinstance(declared, str) else declared) for t in _JSON_TYPES[kind]]
        is_disguised = isinstance(value, bool) and bool not in allowed  # True is an int to Python
        if allowed and (is_disguised or not isinstance(value, tuple(allowed))):
            problems.append(f"{name}: should be of type {declared}")
    return problems


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
