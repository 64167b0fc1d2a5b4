"""``isolated``: any tool in a process of its own, so that a call can really be stopped.

::

    tool = isolated("package.module:function")                       # typed, with a docstring
    tool = isolated("search", {"documents": [...]}, seconds=5)       # a name of the registry, with its options
    Spec("reachlab.tools.outside.isolated:isolated", {"tool": "..."}).build("tools")

A call past ``seconds`` is ended by killing the process and all it started. That is a fault, unless the tool says
``metadata={"timeouts": "observation"}`` (or the option does): say so where only the policy's arguments can make a call
long, or a policy could end bad episodes without a penalty. State that is ``PerEpisode`` is opened over there, and
seeded by the episode's seed. A crash (a signal, ``os._exit``) is a fault. After either
the next call has a fresh process, without the state of the old one. What the tool prints goes nowhere.

Each episode has a process of its own, started by its first call (about a second: the imports) and ended with it;
``shared=True`` keeps one per process, one call at a time. The tool's module is imported here too, for its schema.

Not covered: code that the policy wrote (use a sandbox: this one has your files and network), results that are not
text, memory limits, factories of several tools.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from langchain_core.tools import BaseTool, StructuredTool

from reachlab.errors import BadValue
from reachlab.registry import Spec, resolve
from reachlab.tools.arguments import Misfit
from reachlab.tools.outside.remote import RemoteTool, Timeouts, checked_timeouts, json_arguments
from reachlab.tools.outside.worker import Worker
from reachlab.tools.prepared import PreparedTool, is_typed, prepare


def isolated(
    tool: str | Mapping[str, Any] | Spec | Callable[..., Any] | BaseTool,
    options: Mapping[str, Any] | None = None,
    *,
    seconds: float = 10.0,
    start_seconds: float = 60.0,
    shared: bool = False,
    timeouts: Timeouts | None = None,
) -> BaseTool:
    """*tool* in its own process: a name (of the registry or ``module:attribute``) with *options*, a ``Spec``, or a
    function or tool that stands at the top of a module."""
    for name, given in (("seconds", seconds), ("start_seconds", start_seconds)):
        if not given > 0:
            raise BadValue(name, given, "> 0")
    spec = _spec(tool, options)
    inside = load(spec)
    said = dict(inside.metadata or {})
    channel = checked_timeouts(timeouts or said.get("timeouts", "fault"))
    seeded = any(marker.seeded for marker in prepare(inside).episodic.values())
    if seeded and shared:
        raise BadValue("shared", shared, f"False: {inside.name!r} has state that is seeded per episode")
    opener = Opener(json.dumps(spec.to_json(), sort_keys=True), seconds, start_seconds)
    return RemoteTool.make(
        name=inside.name,
        description=inside.description,
        remote_name=inside.name,
        shown=json_arguments(inside.name, prepare(inside).schema["function"]["parameters"], _Inside(prepare(inside))),
        opener=opener,
        shared=shared,
        seeded=seeded,
        timeouts=channel,
        metadata={**said, "stoppable": True, "timeouts": channel},
    )


@dataclass(frozen=True)
class Opener:
    """Opens workers; equal openers share one within an episode."""

    spec: str
    """JSON."""
    seconds: float
    start_seconds: float

    def __call__(self, seed: int = 0) -> Worker:
        return Worker(self.spec, self.seconds, self.start_seconds, seed)


@dataclass(frozen=True)
class _Inside:
    """Holds arguments to what the tool itself takes, without a process."""

    tool: PreparedTool

    def iter_errors(self, arguments: Any) -> list[Misfit]:
        return self.tool.misfits(arguments)


def load(spec: Spec) -> BaseTool:
    """The tool that *spec* names: one that is made already, what a factory makes, or a typed function as a tool."""
    found = resolve("tools", spec)
    if isinstance(found, BaseTool):
        if spec.options:
            raise BadValue(f"options of {spec.name!r}", dict(spec.options), "none: it is a tool already")
        return found
    if spec.options or isinstance(found, type) or makes_tools(found):
        found = spec.build("tools")
    elif callable(found) and is_typed(found):
        found = StructuredTool.from_function(found)
    if not isinstance(found, BaseTool):
        allowed = "a tool, a factory of one, or a function with a type for each parameter"
        raise BadValue(f"tool {spec.name!r}", found, allowed)
    return found


def makes_tools(function: Any) -> bool:
    """Whether *function* says that it returns a tool rather than a tool's result."""
    try:
        returned = get_type_hints(function).get("return")
    except (NameError, TypeError):  # hints that only a type checker can read
        returned = getattr(function, "__annotations__", {}).get("return")
    known = [returned, *get_args(returned)]
    return any(isinstance(kind, type) and issubclass(kind, BaseTool) for kind in known) or "Tool" in known


def _spec(tool: Any, options: Mapping[str, Any] | None) -> Spec:
    if isinstance(tool, str):
        return Spec(tool, options or {})
    if options:
        raise BadValue("options", dict(options), "none beside what is not a name")
    if isinstance(tool, Spec):
        return tool
    if isinstance(tool, Mapping):
        return Spec.from_json(tool)
    function = getattr(tool, "func", None) or tool
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    place: Any = sys.modules.get(module)
    for part in name.split("."):
        place = getattr(place, part, None)
    if place is not tool or module == "__main__":
        raise BadValue("tool", tool, "what a fresh process can import: the top of a module other than __main__")
    return Spec(f"{module}:{name}")
