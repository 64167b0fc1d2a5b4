"""The shuffled world's tools: they answer about another task, whatever the policy asks.

A tool that knows facts (retrieval) is the donor's, and is asked what the policy asks. A tool that only computes
(``metadata={"computes": True}``) would answer the policy's own question, so its i-th call gets what the donor's
scripted solution got from its i-th call to that tool; calls beyond the script get its last result, and a tool that
the script never calls returns nothing, as in the silent world. Malformed calls get their true error.

Not covered: tools that know hidden facts and also compute on what the policy writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from reachlab import Family, Task, ToolCall, ToolResult
from reachlab.caching import ByIdentity
from reachlab.tools.executor import ToolExecutor
from reachlab.tools.hermes import Hermes


class DonorExecutor:
    """``reachlab.Executor`` over the tools of *donor*."""

    def __init__(
        self, family: Family, donor: Task, tools: ToolExecutor, turns: int, written: Callable[[], Sequence[ToolCall]]
    ) -> None:
        """*turns*: the most that the donor's script may take. *written*: all calls of the episode, those that are
        executed now at its end; counting them here would forget the calls before a restored snapshot."""
        self._family, self._donor, self._tools, self._turns = family, donor, tools, turns
        self._written = written

    def execute(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        before = self._written()[: -len(calls)]
        asked = Counter(c.name for c in before if c.name in self._tools.computing and not self._tools.check(c))
        return [self._answer(call, asked) for call in calls]

    def _answer(self, call: ToolCall, asked: Counter[str]) -> ToolResult:
        if call.name not in self._tools.computing:
            return self._tools.execute([call])[0]
        error = self._tools.check(call)
        if error is not None:
            return error
        script = _script(ByIdentity(self._family), self._donor, self._turns).get(call.name, [""])
        asked[call.name] += 1
        return ToolResult(self._tools.cap(script[min(asked[call.name], len(script)) - 1]))


@lru_cache(maxsize=16384)
def _script(family: ByIdentity[Family], donor: Task, turns: int) -> Mapping[str, Sequence[str]]:
    """What each tool returned to the scripted solution of *donor*, in call order; run once a process."""
    tools = ToolExecutor(family.held.tools(donor), seconds=family.held.budget.seconds)
    results: dict[str, list[str]] = {}
    seen: list[str] = []
    try:
        for _ in range(turns):
            calls = Hermes().parse(family.held.solution(donor, seen))
            told = [result.text for result in tools.execute(calls)]
            for call, text in zip(calls, told, strict=True):
                results.setdefault(call.name, []).append(text)
            seen += told
            if not calls:
                break
    finally:
        tools.close()
    return results
