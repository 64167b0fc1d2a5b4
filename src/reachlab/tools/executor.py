"""Runs the calls of one turn: the default ``reachlab.Executor``, over LangChain tools.

Two error channels. What the policy caused (a malformed call, an unknown name, arguments that do not fit, a
``ToolException``) is an observation that starts with ``Error:``. Anything else is ``errors.ToolFault``: the episode
ends with ``StopReason.FAULT``, is not trained on, and is counted.

Results come in call order. Tools that are coroutines run side by side with each other, all others one after the other,
after them. What tools declare ``PerEpisode`` is opened by the first call that needs
it and closed by ``close``. Not covered: stopping a call that never returns. With ``seconds`` a call
outside the fast path is abandoned after that time (its thread lives on) and becomes a fault; a function on the fast
path is trusted to return, so code the policy wrote belongs in a ``Sandbox``.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, ToolException
from pydantic import ValidationError

from reachlab import Json, ToolCall, ToolResult
from reachlab.errors import BadValue, ToolFault
from reachlab.tools.episodic import Belongings
from reachlab.tools.prepared import PreparedTool, prepare, to_text

LEAST_CHARS = 40
"""The smallest cap that leaves room for the mark of what was cut."""


class ToolExecutor:
    """The tools of one episode. Cheap to make: what is slow is cached per tool."""

    def __init__(self, tools: Sequence[BaseTool], *, output_chars: int = 4000, seconds: float | None = None) -> None:
        """``output_chars`` caps each result; ``seconds`` caps each call outside the fast path."""
        if output_chars < LEAST_CHARS:
            raise BadValue("characters of a tool result", output_chars, f">= {LEAST_CHARS}")
        self._tools = {tool.name: prepare(tool) for tool in tools}
        if len(self._tools) < len(tools):
            raise BadValue("tool names", [tool.name for tool in tools], "all different")
        self._belongings = Belongings()
        self._chars = output_chars
        self._seconds = seconds

    @property
    def schemas(self) -> tuple[Json, ...]:
        """The tools as JSON schemas in the OpenAI form. Shared between episodes: copy before changing."""
        return tuple(tool.schema for tool in self._tools.values())

    @property
    def stateful(self) -> tuple[str, ...]:
        """Names of the tools that replaying recorded results cannot restore."""
        return tuple(tool.name for tool in self._tools.values() if tool.stateful)

    @property
    def computing(self) -> frozenset[str]:
        """Names of the tools whose results follow from their arguments alone."""
        return frozenset(tool.name for tool in self._tools.values() if tool.computes)

    def execute(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        together = [i for i, call in enumerate(calls) if self._is_async(call)]
        if len(together) < 2:
            return [self._run(call) for call in calls]
        with ThreadPoolExecutor(len(together), "reachlab-tool") as pool:
            begun = {i: pool.submit(copy_context().run, self._run, calls[i]) for i in together}
        return [begun[i].result() if i in begun else self._run(call) for i, call in enumerate(calls)]

    def close(self) -> None:
        """End what the episode's tools hold. Idempotent; a later call opens it anew."""
        self._belongings.close()

    def check(self, call: ToolCall) -> ToolResult | None:
        """The error that a malformed call gets in every world, or None if it is well-formed. Runs no tool.

        Raises ToolFault where the tool's own validation crashes, as ``execute`` does.
        """
        if call.problem:
            return self._error(call.problem)
        tool = self._tools.get(call.name)
        try:
            problem = tool.problem(call.arguments) if tool else self._unknown(call.name)
        except ToolException as error:
            problem = str(error)
        except Exception as error:  # a validator that raises what no validator should
            assert tool is not None
            raise _fault(tool, error) from error
        return self._error(problem) if problem else None

    def cap(self, text: str) -> str:
        """*text* within the cap and fit for any tokenizer; what is cut is marked."""
        if not text.isascii():  # lone surrogates cannot be encoded, and would crash a tokenizer
            text = text.encode("utf-8", "replace").decode("utf-8")
        if len(text) <= self._chars:
            return text
        mark = f"\n[cut: {len(text)} characters in all]"
        return text[: self._chars - len(mark)] + mark

    def _is_async(self, call: ToolCall) -> bool:
        return not call.problem and call.name in self._tools and self._tools[call.name].is_async

    def _run(self, call: ToolCall) -> ToolResult:
        tool = self._tools.get(call.name)
        if call.problem or tool is None or tool.direct is None or tool.hidden:
            problem = self.check(call)
            if problem is not None:
                return problem
            tool = self._tools[call.name]
        arguments = call.arguments if type(call.arguments) is dict else dict(call.arguments)
        try:
            if tool.episodic:
                arguments = {**arguments, **{n: self._belongings.get(m) for n, m in tool.episodic.items()}}
            if tool.direct is None:
                return self._slow(tool, arguments)
            output = tool.direct(arguments)
            return ToolResult(self.cap(output if type(output) is str else to_text(output)))
        except ToolException as error:
            return self._error(str(error))
        except ValidationError as error:
            return self._refuse(tool, call.arguments, error)
        except Exception as error:
            raise _fault(tool, error) from error

    def _slow(self, tool: PreparedTool, arguments: Mapping[str, Any]) -> ToolResult:
        output = within(self._seconds, lambda: tool.invoke(arguments))
        failed = isinstance(output, ToolMessage) and output.status == "error"
        return ToolResult(self.cap(to_text(output)), is_error=failed)

    def _refuse(self, tool: PreparedTool, arguments: Mapping[str, Any], error: ValidationError) -> ToolResult:
        """An error for the policy if its arguments are the cause; a fault if the tool's own code failed to validate."""
        problem = tool.problem(arguments)
        if not problem:
            raise _fault(tool, error) from error
        return self._error(problem)

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(name, list(self._tools), n=1, cutoff=0.0)
        return f"no tool {name[:40]!r}." + (f" Did you mean {close[0]!r}?" if close else "")

    def _error(self, problem: str) -> ToolResult:
        return ToolResult(self.cap(f"Error: {problem}"), is_error=True)


def _fault(tool: PreparedTool, error: Exception) -> ToolFault:
    if isinstance(error, ToolFault):
        return error
    return ToolFault(f"tool {tool.name!r} failed: {type(error).__name__}: {error}")


def within(seconds: float | None, work: Callable[[], Any]) -> Any:
    """The result of *work*, which is abandoned after *seconds*: Python cannot stop a thread."""
    if seconds is None:
        return work()
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # carried to the caller's thread, whatever it is
            failure.append(error)

    thread = threading.Thread(target=copy_context().run, args=(body,), daemon=True, name="reachlab-tool")
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise ToolFault(f"no result after {seconds:g} s; the call was abandoned")
    return outcome[0]
