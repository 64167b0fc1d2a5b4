"""Runs the calls of one turn: the default ``reachlab.Executor``, over LangChain tools.

Two error channels. What the policy caused (a malformed call, an unknown name, arguments that do not fit, a
``ToolException``) is an observation that starts with ``Error:``. Anything else is ``errors.ToolFault``: the episode
ends with ``StopReason.FAULT``, is not trained on, and is counted.

Results come in call order. Tools that are coroutines run side by side with each other, all others one after the other,
after them. What tools declare ``PerEpisode`` is opened by the first call that needs it and closed by ``close``.

With ``seconds`` nothing waits without a limit: a call in this process that takes longer is abandoned (its thread lives
on), counted (``waiting.abandoned``) and a fault; tools that say ``stoppable`` end their calls themselves, by limits of
their own. Not covered: stopping what was abandoned, so code the policy wrote belongs in a ``Sandbox``; the budget of
calls, which the interaction keeps.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, ToolException
from pydantic import ValidationError

from reachlab import Json, ToolCall, ToolResult
from reachlab.errors import BadValue, ToolFault
from reachlab.seeding import derive
from reachlab.tools.arguments import ill_formed
from reachlab.tools.episodic import Belongings, PerEpisode
from reachlab.tools.prepared import PreparedTool, prepare, to_text
from reachlab.tools.waiting import within

__all__ = ["LEAST_CHARS", "ToolExecutor", "within"]

LEAST_CHARS = 40
"""The smallest cap that leaves room for the mark of what was cut."""
_FAILURES = (Exception, SystemExit, asyncio.CancelledError)
"""What a tool may raise without ending the process: it ends the episode. An interrupt by the user is none of these."""

_log = logging.getLogger(__name__)


class ToolExecutor:
    """The tools of one episode. Cheap to make: what is slow is cached per tool."""

    def __init__(
        self,
        tools: Sequence[BaseTool | Callable[..., Any]],
        *,
        output_chars: int = 4000,
        seconds: float | None = None,
        seed: int = 0,
    ) -> None:
        """``output_chars`` caps each result, ``seconds`` each call; ``seed`` is what seeded state follows from.

        A function with types and a docstring stands for the tool that it describes.
        """
        if output_chars < LEAST_CHARS:
            raise BadValue("characters of a tool result", output_chars, f">= {LEAST_CHARS}")
        if seconds is not None and not seconds > 0:
            raise BadValue("seconds of a tool call", seconds, "> 0, or None")
        prepared = [prepare(tool) for tool in tools]
        self._tools = {tool.name: tool for tool in prepared}
        if len(self._tools) < len(prepared):
            raise BadValue("tool names", [tool.name for tool in prepared], "all different")
        self._belongings = Belongings(self._seed_of)
        self._chars, self._seconds, self._seed = output_chars, seconds, seed

    @property
    def schemas(self) -> tuple[Json, ...]:
        """The tools as JSON schemas in the OpenAI form. Shared between episodes: copy before changing."""
        return tuple(tool.schema for tool in self._tools.values())

    @property
    def stateful(self) -> tuple[str, ...]:
        """Names of the tools whose state cannot be restored."""
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

    def again(self, calls: Sequence[ToolCall]) -> None:
        """Bring back what tools kept of *calls* that were answered before: those that ``replays`` run once more."""
        for call in calls:
            tool = self._tools.get(call.name)
            if not call.problem and tool is not None and any(m.replays for m in tool.episodic.values()):
                self._run(call)

    def close(self) -> None:
        """End what the episode's tools hold. Idempotent and never raises; a later call opens it anew."""
        if self._belongings:
            here = all(tool.stoppable for tool in self._tools.values() if tool.episodic)
            try:
                within(None if here else self._seconds, self._belongings.close)
            except ToolFault as fault:
                _log.warning("closing what an episode's tools hold: %s", fault)

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
        """Calls that draw from one seed do not run side by side: the order would decide what each draws."""
        tool = None if call.problem else self._tools.get(call.name)
        return tool is not None and tool.is_async and not any(m.seeded for m in tool.episodic.values())

    def _run(self, call: ToolCall) -> ToolResult:
        tool = self._tools.get(call.name)
        if call.problem or tool is None or tool.direct is None or tool.hidden or ill_formed(call.arguments):
            problem = self.check(call)
            if problem is not None:
                return problem
            tool = self._tools[call.name]
        arguments = call.arguments if type(call.arguments) is dict else dict(call.arguments)
        try:
            output = within(None if tool.stoppable else self._seconds, lambda: self._work(tool, arguments))
            if type(output) is str:
                return ToolResult(self.cap(output))
            failed = isinstance(output, ToolMessage) and output.status == "error"
            return ToolResult(self.cap(to_text(output)), is_error=failed)
        except ToolException as error:
            return self._error(str(error))
        except ValidationError as error:
            return self._refuse(tool, call.arguments, error)
        except _FAILURES as error:
            raise _fault(tool, error) from error

    def _work(self, tool: PreparedTool, arguments: dict[str, Any]) -> Any:
        if tool.episodic:
            arguments = {**arguments, **{n: self._belongings.get(m) for n, m in tool.episodic.items()}}
        return tool.invoke(arguments) if tool.direct is None else tool.direct(arguments)

    def _seed_of(self, marker: PerEpisode) -> int:
        """Follows from where the marker stands first, not from which call comes first."""
        places = ((t.name, n) for t in self._tools.values() for n, m in t.episodic.items() if m == marker)
        return derive(self._seed, *next(places))

    def _refuse(self, tool: PreparedTool, arguments: Mapping[str, Any], error: ValidationError) -> ToolResult:
        """An error for the policy if its arguments are the cause; a fault if the tool's own code failed to validate."""
        problem = "" if tool.direct else tool.problem(arguments)
        if not problem:
            raise _fault(tool, error) from error
        return self._error(problem)

    def _unknown(self, name: str) -> str:
        close = difflib.get_close_matches(name, list(self._tools), n=1, cutoff=0.0)
        return f"no tool {name[:40]!r}." + (f" Did you mean {close[0]!r}?" if close else "")

    def _error(self, problem: str) -> ToolResult:
        return ToolResult(self.cap(f"Error: {problem}"), is_error=True)


def _fault(tool: PreparedTool, error: BaseException) -> ToolFault:
    if isinstance(error, ToolFault):
        return error
    changed = " (its schema has changed since it was shown)" if tool.changed else ""
    return ToolFault(f"tool {tool.name!r} failed: {type(error).__name__}: {error}{changed}")
