"""``python`` and ``shell``: code that the policy writes, run in a sandbox, with state within one episode.

::

    tools = [python_tool(), shell_tool()]          # one session of the embedded jail for both, per episode
    tools = [python_tool("docker", options={"image": "..."}, memory_bytes=2**30)]

What the code prints is the result. Code that fails, and code that a limit stops, is an error observation: the policy
caused it. A sandbox that breaks is a fault. The wall limit is far above the limit on processor time, so that how busy
the machine is does not decide what a computation returns.

Not covered: files in and out of the session, plots, values of expressions that are not printed.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import Field

from reachlab import Language, Sandbox, SandboxLimits, SandboxResult, SandboxSession
from reachlab.errors import BadValue
from reachlab.registry import Spec
from reachlab.tools.episodic import PerEpisode

NO_OUTPUT = "No output. Print what you want to see."
LIMITS = SandboxLimits(wall_seconds=10.0, cpu_seconds=2.0)


@dataclass(frozen=True)
class NamedSandbox:
    """Opens sessions of a sandbox of the registry; started once a process, when the first session is opened."""

    name: str
    options: str = "{}"
    """JSON, with sorted keys."""

    def __call__(self) -> SandboxSession:
        return _started(self).session()


_STARTED: dict[NamedSandbox, Sandbox] = {}
_LOCK = threading.Lock()


def _started(named: NamedSandbox) -> Sandbox:
    with _LOCK:
        if named not in _STARTED:
            _STARTED[named] = Spec(named.name, json.loads(named.options)).build("sandboxes")
        return _STARTED[named]


def close_sandboxes() -> None:
    """End every sandbox that a tool of this process has started by name; a later call starts it anew."""
    with _LOCK:
        while _STARTED:
            _STARTED.popitem()[1].close()


def python_tool(
    sandbox: str | Sandbox = "jail", options: Mapping[str, Any] | None = None, **limits: float
) -> BaseTool:
    """``python(code)``. *sandbox*: a name of the registry, built with *options*, or a ``reachlab.Sandbox``.

    *limits*: fields of ``reachlab.SandboxLimits``, each run's; the rest is ``LIMITS``.
    """
    return _tool("python", "Run Python code. Variables stay for the next call.", sandbox, options, limits)


def shell_tool(
    sandbox: str | Sandbox = "jail", options: Mapping[str, Any] | None = None, **limits: float
) -> BaseTool:
    """``shell(code)``: POSIX shell, made like ``python_tool``. Files stay for the next call, variables do not."""
    return _tool("shell", "Run shell commands. Files stay for the next call.", sandbox, options, limits)


def _tool(
    language: Language,
    description: str,
    sandbox: str | Sandbox,
    options: Mapping[str, Any] | None,
    limits: Mapping[str, float],
) -> BaseTool:
    if isinstance(sandbox, str):
        opened: Any = NamedSandbox(sandbox, json.dumps(dict(options or {}), sort_keys=True))
    elif options:
        raise BadValue("options", dict(options), "none beside a sandbox that is already made")
    else:
        opened = sandbox.session
    allowed = _limits(limits)

    def run(
        code: Annotated[str, Field(description="The code. Print what you want to see.")],
        session: Annotated[Any, PerEpisode(opened)],
    ) -> str:
        return told(session.run(code, allowed, language))

    said = {"computes": True, "stoppable": True}
    return StructuredTool.from_function(run, name=language, description=description, metadata=said)


def told(result: SandboxResult) -> str:
    """What the policy reads: the output, or why there is none. Raises ToolException for code that failed."""
    out, err = (stream.decode("utf-8", "replace").removesuffix("\n") for stream in (result.stdout, result.stderr))
    output = "\n".join(part for part in (out, err) if part)
    if result.limit:
        raise ToolException(f"stopped by the limit on {_SPOKEN[result.limit]}\n{output}".rstrip("\n"))
    if result.exit_code != 0:
        reason = err.rpartition("\n")[2] or f"exit code {result.exit_code}"
        raise ToolException(f"{reason}\n{output}" if output != reason else reason)
    return output or NO_OUTPUT


_SPOKEN = {
    "wall": "wall-clock time",
    "cpu": "processor time",
    "memory": "memory",
    "processes": "processes",
    "files": "files",
    "written": "bytes written",
    "output": "output",
}


def _limits(changed: Mapping[str, float]) -> SandboxLimits:
    try:
        return replace(LIMITS, **changed)  # type: ignore[arg-type]
    except TypeError as error:
        raise BadValue("limits", dict(changed), ", ".join(f.name for f in fields(LIMITS))) from error
