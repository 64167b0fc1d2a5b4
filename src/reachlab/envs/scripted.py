"""What families share whose tools come by name: building them, and the call that a script opens with.

A tool of the registry serves every task of a family alike: what it returns follows from its arguments, not from facts
of one task. So all of them are marked ``computes``, and the shuffled world replays what the donor's script got.

Not covered: scripts of several different calls (a family of your own writes them).
"""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool

from reachlab.errors import BadValue, UnknownName
from reachlab.registry import Spec, resolve
from reachlab.tools.hermes import Hermes
from reachlab.tools.prepared import prepare

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
ALLOWED = 'a name of the registry, module:attribute, or {"name": ..., "options": {...}}'


def build_tools(specs: Sequence[str | Mapping[str, Any]], documents: Sequence[str] = ()) -> tuple[BaseTool, ...]:
    """The tools that *specs* name. One that takes ``documents`` and was given none gets *documents*."""
    if isinstance(specs, str | Mapping):
        specs = [specs]
    found = [tool for spec in specs for tool in _build(spec, documents)]
    if not found:
        raise BadValue("affordances", list(specs), f"at least one, each {ALLOWED}")
    return tuple(found)


def _build(spec: str | Mapping[str, Any], documents: Sequence[str]) -> list[BaseTool]:
    if not isinstance(spec, str | Mapping):
        raise BadValue("tool", spec, ALLOWED)
    named = Spec(spec) if isinstance(spec, str) else Spec.from_json(spec)
    factory = resolve("tools", named.name)
    if not isinstance(factory, BaseTool):
        if documents and "documents" not in named.options and "documents" in _parameters(factory):
            named = Spec(named.name, {**named.options, "documents": list(documents)})
        factory = named.build("tools")
    made = list(factory) if isinstance(factory, list | tuple) else [factory]
    for tool in made:
        if not isinstance(tool, BaseTool):
            raise BadValue(f"tool {named.name!r}", tool, "a LangChain tool, or a list of them")
    return [_computing(tool) for tool in made]


def _parameters(factory: Any) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(factory).parameters)
    except (TypeError, ValueError):  # some builtins; Spec.build says what is wrong
        return frozenset()


def _computing(tool: BaseTool) -> BaseTool:
    said = tool.metadata or {}
    return tool if said.get("computes") else tool.model_copy(update={"metadata": {**said, "computes": True}})


def opening_call(tools: Sequence[BaseTool], script: Mapping[str, Any] | None, question: str, answer: str) -> str:
    """The call a script opens with: *script* with ``{question}`` and ``{answer}`` filled in, or a guess at one.

    Without a *script* the first tool is called with its only required text: the question; code that prints the answer
    where the argument is called ``code``, the answer where it is called ``expression``.
    """
    if script is None:
        tool = tools[0]
        return Hermes().render(tool.name, _arguments(tool, question, answer))
    filled = {name: _fill(value, question, answer) for name, value in dict(script.get("arguments", {})).items()}
    return Hermes().render(script["name"], filled)


def check_script(tools: Sequence[BaseTool], script: Mapping[str, Any] | None) -> None:
    """Refuse a *script* that names no tool, and tools for which none can be guessed, before any episode."""
    if script is None:
        _arguments(tools[0], "?", "0")
    elif set(script) != {"name", "arguments"} or not isinstance(script["arguments"], Mapping):
        raise BadValue("script", script, '{"name": tool, "arguments": {... "{question}" or "{answer}" ...}}')
    elif script["name"] not in (names := [tool.name for tool in tools]):
        raise UnknownName("tool of the script", str(script["name"]), names)


def _arguments(tool: BaseTool, question: str, answer: str) -> dict[str, str]:
    shape = prepare(tool).schema["function"].get("parameters", {})
    needed = list(shape.get("required", ())) or list(shape.get("properties", {}))[:1]
    if len(needed) != 1:
        raise BadValue("script", None, f'{{"name": {tool.name!r}, "arguments": ...}}: the tool takes {needed}')
    match needed[0]:
        case "code" if tool.name == "shell":
            text = f"echo {shlex.quote(answer)}"
        case "code":
            text = f"print({answer!r})"
        case "expression":
            text = answer if _NUMBER.fullmatch(answer) else "0"
        case _:
            text = question
    return {needed[0]: text}


def _fill(value: Any, question: str, answer: str) -> Any:
    # Not str.format: questions and code hold braces of their own.
    return value.replace("{question}", question).replace("{answer}", answer) if isinstance(value, str) else value
