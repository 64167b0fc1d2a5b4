"""What families share whose tools come by name: building them, and the call that a script opens with.

A tool of the registry serves every task of a family alike: what it returns follows from its arguments, not from facts
of one task. So all of them are marked ``computes``, and the shuffled world replays what the donor's script got.

Not covered: scripts of several different calls (a family of your own writes them).
"""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool

from reachlab.errors import BadValue, UnknownName
from reachlab.registry import Spec, resolve
from reachlab.tools.hermes import Hermes
from reachlab.tools.prepared import prepare

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_PLACE = re.compile(r"\{\{([^{}\n]+)\}\}|\{([^{}\n]+)\}")
_NAME = re.compile(r"[^\W\d]\w*(\.\w+)*")
_SAMPLES: Mapping[str, Any] = {"integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}
ROLES = ("question", "answer")
"""What every script may fill in."""
ALLOWED = 'a name of the registry, module:attribute, or {"name": ..., "options": {...}}'


def build_tools(specs: Sequence[str | Mapping[str, Any]], documents: Sequence[str] = ()) -> tuple[BaseTool, ...]:
    """The tools that *specs* name. One that takes ``documents`` and was given none gets *documents*."""
    specs = plain_specs(specs)
    found = [tool for spec in specs for tool in _build(spec, documents)]
    if not found:
        raise BadValue("affordances", list(specs), f"at least one, each {ALLOWED}")
    return tuple(found)


def plain_specs(specs: Any) -> list[str | Mapping[str, Any]]:
    """*specs* as a list. A tool itself is refused: a family is rebuilt from plain data, in other processes too."""
    listed = list(specs) if isinstance(specs, list | tuple) else [specs]
    for spec in listed:
        if isinstance(spec, BaseTool) or callable(spec):
            shown = getattr(spec, "name", None) or getattr(spec, "__qualname__", type(spec).__name__)
            raise BadValue("affordances", shown, f'plain data: name the tool, "module:attribute" ({ALLOWED})')
        if not isinstance(spec, str | Mapping):
            raise BadValue("affordances", spec, ALLOWED)
    return listed


def _build(spec: str | Mapping[str, Any], documents: Sequence[str]) -> list[BaseTool]:
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


def opening_call(
    tools: Sequence[BaseTool],
    script: Mapping[str, Any] | None,
    question: str,
    answer: str,
    columns: Mapping[str, Any] | None = None,
) -> str:
    """The call a script opens with: *script* with its placeholders filled in, or a guess at one.

    ``{question}``, ``{answer}`` and the names of *columns* are filled in; ``{{name}}`` stands for the text ``{name}``.
    Without a *script* the first tool is called with its only required text: the question; code that prints the answer
    where the argument is called ``code``, the answer where it is called ``expression``.
    """
    said = {**(columns or {}), "question": question, "answer": answer}
    if script is None:
        return Hermes().render(tools[0].name, _arguments(tools[0], said))
    return Hermes().render(script["name"], _fill(dict(script["arguments"]), said))


def placeholders(script: Mapping[str, Any] | None, columns: Iterable[str] = ()) -> tuple[str, ...]:
    """Which of *columns* the script fills in. Refuses a *script* of another shape, and names that nothing fills in."""
    if script is None:
        return ()
    if (
        not isinstance(script, Mapping)
        or set(script) != {"name", "arguments"}
        or not isinstance(script["arguments"], Mapping)
    ):
        raise BadValue("script", script, '{"name": tool, "arguments": {... "{question}" or "{answer}" ...}}')
    known = dict.fromkeys([*ROLES, *columns])
    found = [m[2] for text in _texts(script["arguments"]) for m in _PLACE.finditer(text) if m[2]]
    for name in found:
        if name not in known and _NAME.fullmatch(name):  # {1, 2} is code
            raise UnknownName("placeholder of the script", name, known, f"{{{{{name}}}}} is the text {{{name}}}.")
    return tuple(dict.fromkeys(name for name in found if name in known and name not in ROLES))


def check_script(
    tools: Sequence[BaseTool], script: Mapping[str, Any] | None, example: Mapping[str, Any] | None = None
) -> None:
    """Refuse a *script* that does not fit the tools, and tools for which none can be guessed, before any episode.

    *example*: what fills in the placeholders of one task.
    """
    said = {"question": "?", "answer": "0", **(example or {})}
    placeholders(script, said)
    if script is None:
        if problem := prepare(tools[0]).problem(_arguments(tools[0], said)):
            raise BadValue("script", None, f"a call {_such_as(tools[0])}: the question does not do ({problem})")
        return
    named = {tool.name: tool for tool in tools}
    if script["name"] not in named:
        raise UnknownName("tool of the script", str(script["name"]), named)
    tool = named[script["name"]]
    shape = _shape(tool)
    takes = shape.get("properties", {})
    loose = shape.get("additionalProperties") or getattr(tool.args_schema, "model_config", {}).get("extra") == "allow"
    for name in script["arguments"]:
        if takes and name not in takes and not loose:  # pydantic would drop it without a word
            raise UnknownName(f"argument of {tool.name!r} in the script", name, takes)
    if problem := prepare(tool).problem(_fill(dict(script["arguments"]), said)):
        raise BadValue("script", dict(script), f"arguments that the tool takes ({problem}), {_such_as(tool)}")


def _shape(tool: BaseTool) -> Mapping[str, Any]:
    shape: Mapping[str, Any] = prepare(tool).schema["function"].get("parameters", {})
    return shape


def _needed(tool: BaseTool) -> list[str]:
    shape = _shape(tool)
    return list(shape.get("required", ())) or list(shape.get("properties", {}))[:1]


def _such_as(tool: BaseTool) -> str:
    """A script to paste, with the arguments that the tool needs."""
    takes = _shape(tool).get("properties", {})
    kinds = {name: takes.get(name, {}).get("type") for name in _needed(tool)}
    arguments = {name: _SAMPLES.get(str(kind), "{question}") for name, kind in kinds.items()}
    script = json.dumps({"name": tool.name, "arguments": arguments}, separators=(",", ":"), ensure_ascii=False)
    return f"such as --dial 'script={script}'"


def _arguments(tool: BaseTool, said: Mapping[str, Any]) -> dict[str, str]:
    question, answer, needed = said["question"], said["answer"], _needed(tool)
    if len(needed) != 1:
        raise BadValue("script", None, f"a call {_such_as(tool)}: the tool takes {needed}")
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


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def _fill(value: Any, said: Mapping[str, Any]) -> Any:
    """Not str.format: questions and code hold braces of their own. A placeholder that stands alone keeps its type."""
    if isinstance(value, Mapping):
        return {name: _fill(inner, said) for name, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, said) for inner in value]
    if not isinstance(value, str):
        return value
    alone = _PLACE.fullmatch(value)
    if alone and alone[2] in said:
        return said[alone[2]]
    return _PLACE.sub(lambda m: _filled(m, said), value)


def _filled(place: re.Match[str], said: Mapping[str, Any]) -> str:
    if place[2] in said:
        return str(said[place[2]])
    return f"{{{place[1]}}}" if place[1] and (place[1] in said or _NAME.fullmatch(place[1])) else place[0]
