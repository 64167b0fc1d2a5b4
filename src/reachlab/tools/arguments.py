"""What a tool takes: the schema that the model is shown, what is hidden from it, and what does not fit.

LangChain shows a model the names of a schema's fields. Where pydantic accepts an alias alone, a model that follows what
it is shown would be refused: the shown schema has the alias. Hidden arguments are refused under all of their names.

A tool that declares no schema is held to the signature of its ``_run``: LangChain shows that and checks nothing.

Not covered: aliases that are paths into the arguments (``AliasPath``) are refused; what a bare JSON schema says below
its top level; validators of a whole model that has hidden arguments, before the tool is really called.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard

from langchain_core.tools import BaseTool, StructuredTool, Tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import AliasChoices, BaseModel, ConfigDict

from reachlab import Json
from reachlab.errors import BadValue
from reachlab.tools.episodic import PerEpisode

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


DEEPEST = 100
"""Levels of nesting that arguments may have; pydantic's own limit is 255, Python's about 1000."""


class Misfit(NamedTuple):
    """One reason why arguments do not fit."""

    path: tuple[Any, ...]
    message: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path)) or 'arguments'}: {self.message}"


def is_model(schema: object) -> TypeGuard[type[BaseModel]]:
    """A model of pydantic 2."""
    return isinstance(schema, type) and issubclass(schema, BaseModel)


def accepted(tool: BaseTool) -> Any:
    """The tool's ``args_schema``; what the signature of ``_run`` says where a class has none; None for one text."""
    if tool.args_schema is not None or isinstance(tool, StructuredTool | Tool) or type(tool)._run is BaseTool._run:
        return tool.args_schema
    if _variadic(tool._run):
        return {"additionalProperties": True}
    return type(tool.name, (tool.get_input_schema(),), {"model_config": ConfigDict(extra="forbid")})


def named(tool: BaseTool) -> frozenset[str] | None:
    """What the tool's function can be called with, or None where it takes every name."""
    function = getattr(tool, "func", None) or getattr(tool, "coroutine", None) or tool._run
    return None if _variadic(function) else frozenset(inspect.signature(function).parameters)


def _variadic(function: Any) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def ill_formed(arguments: Mapping[str, Any]) -> str:
    """Why no tool could take *arguments*, whatever it declares, or the empty string.

    JSON can write half of a surrogate pair and thousands of brackets; most encoders and validators crash on them, and
    what a policy writes must not be a fault.
    """
    level: list[Any] = [arguments]
    for _ in range(DEEPEST):
        deeper: list[Any] = []
        for value in level:
            if isinstance(value, str):
                if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                    return "the arguments are not valid Unicode text (a lone surrogate)"
            elif isinstance(value, Mapping):
                deeper += value
                deeper += value.values()
            elif isinstance(value, list | tuple):
                deeper += value
        if not deeper:
            return ""
        level = deeper
    return f"the arguments are nested more than {DEEPEST} levels deep"


def shown_schema(tool: BaseTool) -> Json:
    """The OpenAI form, as chat templates take it, with every argument under a name that validation accepts."""
    schema = convert_to_openai_tool(tool)
    declared = tool.args_schema
    parameters = schema["function"].get("parameters", {})
    if not is_model(declared) or not parameters.get("properties"):
        return schema
    names = {name: _written(tool, declared, name) for name in declared.model_fields if name in parameters["properties"]}
    if all(name == written for name, written in names.items()):
        return schema
    parameters = dict(parameters)
    parameters["properties"] = {names.get(name, name): field for name, field in parameters["properties"].items()}
    if "required" in parameters:
        parameters["required"] = [names.get(name, name) for name in parameters["required"]]
    return {**schema, "function": {**schema["function"], "parameters": parameters}}


def hidden_fields(tool: BaseTool) -> frozenset[str]:
    """What the tool takes and its schema for the model does not show (``InjectedToolArg`` and its kin)."""
    declared, shown = accepted(tool), tool.tool_call_schema
    if not is_model(declared) or not is_model(shown):
        return frozenset()
    return frozenset(declared.model_fields) - frozenset(shown.model_fields)


def hidden_names(tool: BaseTool) -> frozenset[str]:
    """Every name under which a hidden argument could be written."""
    declared, hidden = accepted(tool), hidden_fields(tool)
    if not is_model(declared):
        return hidden
    return hidden.union(*([str(path[0]) for path in _aliases(declared, name)] for name in hidden))


def episodic(tool: BaseTool) -> dict[str, PerEpisode]:
    """The hidden arguments that an executor opens, by the name they are handed over under."""
    declared = tool.args_schema
    if not is_model(declared):
        return {}
    marked = [(name, m) for name, f in declared.model_fields.items() for m in f.metadata if isinstance(m, PerEpisode)]
    return {_written(tool, declared, name): marker for name, marker in marked}


def misfits(
    declared: Any, hidden: frozenset[str], arguments: Mapping[str, Any], names: frozenset[str] | None = None
) -> list[Misfit]:
    """What *declared* (a tool's ``args_schema``) does not accept of what a policy wrote. Runs nothing of the tool's.

    *names*: what its function can be called with, for schemas that let every name through.
    """
    if declared is None:
        return [] if len(arguments) == 1 else [Misfit((), f"one is taken, got {len(arguments)}")]
    if isinstance(declared, dict):
        return list(_json_misfits(declared, arguments))
    try:
        if is_model(declared):
            extra = declared.model_validate(dict(arguments)).model_extra or {}
            return [Misfit((name,), "no such argument") for name in extra if names is not None and name not in names]
        declared.parse_obj(dict(arguments))  # a model of pydantic 1
    except ValueError as error:  # what both generations of ValidationError are
        return of_policy(error, hidden)
    return []


def of_policy(error: ValueError, hidden: frozenset[str]) -> list[Misfit]:
    """What of a validation error is about arguments that the policy writes: hidden ones are the harness's."""
    if not hasattr(error, "errors"):
        return [Misfit((), str(error))]
    found = [Misfit(tuple(fault["loc"]), fault["msg"]) for fault in error.errors()]
    return [misfit for misfit in found if not (misfit.path and misfit.path[0] in hidden)]


def _by_name(model: type[BaseModel]) -> bool:
    said = model.model_config
    return bool(said.get("populate_by_name") or said.get("validate_by_name"))


def _aliases(model: type[BaseModel], name: str) -> list[list[str | int]]:
    """The paths that validation reads a field from, beside its name."""
    alias = model.model_fields[name].validation_alias
    if alias is None or model.model_config.get("validate_by_alias") is False:
        return []
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [[choice] if isinstance(choice, str) else choice.path for choice in choices]


def _written(tool: BaseTool, model: type[BaseModel], name: str) -> str:
    """The name that an argument is written under: where there are several, the one that refusals speak of."""
    aliases = _aliases(model, name)
    for path in aliases:
        if len(path) == 1:
            return str(path[0])
    if not aliases or _by_name(model):
        return name
    raise BadValue(f"alias of argument {name!r} of tool {tool.name!r}", aliases[0], "one name")


def _json_misfits(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[Misfit]:
    """What a bare JSON schema forbids at its top level; LangChain itself would let everything through."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    yield from (Misfit((name,), "Field required") for name in schema.get("required", ()) if name not in arguments)
    for name, value in arguments.items():
        if name not in properties:
            if not schema.get("additionalProperties"):
                yield Misfit((name,), "no such argument")
            continue
        declared = properties[name].get("type", ()) if isinstance(properties[name], Mapping) else ()
        kinds = [declared] if isinstance(declared, str) else declared
        allowed = [t for kind in kinds for t in _JSON_TYPES.get(kind, (object,))]
        is_disguised = isinstance(value, bool) and bool not in allowed  # True is an int to Python
        if allowed and (is_disguised or not isinstance(value, tuple(allowed))):
            yield Misfit((name,), f"should be of type {declared}")
