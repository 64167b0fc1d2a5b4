"""Is a tool fit for episodes? The checks behind ``reachlab check-tool``, and for a third party's one-line test::

    def test_it_is_sound() -> None:
        require(check_tool(my_tool, [{"query": "anything"}]))

Not covered: whether the answers are right; what happens to arguments that no example has.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from langchain_core.tools import BaseTool

from reachlab import Json, ToolCall, ToolResult
from reachlab.errors import ToolFault
from reachlab.findings import Blocked, Finding, broken, gather, global_randomness, kept, note
from reachlab.tools.arguments import shown_schema
from reachlab.tools.executor import ToolExecutor
from reachlab.tools.outside.remote import RemoteTool
from reachlab.tools.prepared import prepare

Examples = Sequence[Mapping[str, Any]]
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-f]+>")
"""How Python shows an object that has no text of its own."""
_BYTES = re.compile(r"b'.*'|b\".*\"", re.DOTALL)
FAULT = (
    "mend what raises this, or give arguments it answers (--call '{...}'); where the caller's arguments are at fault, "
    "raise langchain_core.tools.ToolException: the policy reads it, while a fault ends the episode unscored"
)
_SAMPLES: dict[str, Any] = {
    "string": "test", "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}, "null": None
}  # fmt: skip


def check_tool(tool: BaseTool | Callable[..., Any], examples: Examples = (), seconds: float = 10.0) -> list[Finding]:
    """Every promise of a tool. *examples*: arguments it must answer; by default one made up from its schema."""
    tool = prepare(tool).tool
    calls = [ToolCall(tool.name, dict(arguments)) for arguments in examples or [made_up(tool)]]
    return gather(
        (promise, partial(check, tool, calls, seconds))
        for promise, check in (
            ("schema", _schema),
            ("answers", _answers),
            ("same again", _repeats),
            ("malformed calls", _malformed),
            ("schema stays the same", _unchanged),
            ("stopping", _stopping),
        )
    )


def made_up(tool: BaseTool) -> Json:
    """Arguments that fit the tool's schema: its defaults and examples, else a value of the type."""
    schema = prepare(tool).schema["function"]["parameters"]
    return {name: _sample(schema["properties"][name]) for name in schema.get("required", ())}


def _sample(field: Json) -> Any:
    for key in ("examples", "enum"):
        if field.get(key):
            return field[key][0]
    kinds = [field, *field.get("anyOf", ())]
    return next((_SAMPLES[k["type"]] for k in kinds if k.get("type") in _SAMPLES), "test")


def _schema(tool: BaseTool, calls: Sequence[ToolCall], seconds: float) -> Iterator[Finding]:
    function = prepare(tool).schema["function"]
    if _NAME.fullmatch(tool.name):
        yield kept("name", tool.name)
    else:
        yield broken("name", repr(tool.name), "use letters, digits, _ and - only, 64 at most: chat templates need it")
    bare = [n for n, field in function["parameters"].get("properties", {}).items() if not field.get("description")]
    if not function.get("description"):
        yield broken("description", "there is none", "write a docstring: it is all that the model knows of the tool")
    elif bare:
        yield note("description", f"arguments without one: {', '.join(bare)}")
    else:
        yield kept("description")


def _episode(tool: BaseTool, calls: Sequence[ToolCall], seconds: float) -> list[ToolResult]:
    executor = ToolExecutor([tool], output_chars=10**9, seconds=seconds)
    try:
        return executor.execute(calls)
    finally:
        executor.close()


def _answers(tool: BaseTool, calls: Sequence[ToolCall], seconds: float) -> Iterator[Finding]:
    usual, times = ToolExecutor([]).cap, []
    for call in calls:
        began = time.perf_counter()
        asked = json.dumps(dict(call.arguments), default=str)[:60]
        try:
            (result,) = _episode(tool, [call], seconds)
        except ToolFault as fault:
            raise Blocked(broken("answers", f"{asked} -> {fault}", FAULT)) from fault
        times.append(time.perf_counter() - began)
        shown = f"{asked} -> {result.text[:60]!r}"
        if result.is_error:
            yield broken("answers", shown, "give arguments it answers (--call '{...}'), or mend the tool")
        elif not result.text:
            yield broken("says something", shown, "return a text: an empty one is what the silent world returns")
        elif _ADDRESS.search(result.text):
            yield broken("is text", shown, "return text or plain JSON: this is an object's address, new in each run")
        elif usual(result.text) != result.text:
            yield broken("fits", f"{len(result.text)} characters", "return less: what is over the cap is cut")
        else:
            yield kept("answers", shown)
            yield from _no_text(result.text)
    yield note("time", f"{1000 * median(times):.2f} ms a call")


def _no_text(text: str) -> Iterator[Finding]:
    """Results that stand for something else than what was meant; LangChain keeps nothing but the text of them."""
    if text == "null":
        yield note("is text", "it returned nothing (None): the policy reads null; return a text that says so")
    elif _BYTES.fullmatch(text):
        yield note("is text", f"it returned bytes: the policy reads {text[:40]}; decode them, or return base64")


def _repeats(tool: BaseTool, calls: Sequence[ToolCall], seconds: float) -> Iterator[Finding]:
    with global_randomness() as used:
        first, second = (_episode(tool, calls, seconds) for _ in range(2))
    if [r.text for r in first] == [r.text for r in second]:
        yield kept("same again", "two episodes with the same calls got the same results")
    else:
        place = next(i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a.text != b.text)
        seen = f"{first[place].text[:60]!r}, then {second[place].text[:60]!r}"
        fix = "take randomness from a seed, and keep state in an argument marked PerEpisode"
        yield broken("same again", seen, fix)
    if used:
        yield broken("no global randomness", f"it uses {', '.join(used)}", "use a generator of its own")
    else:
        yield kept("no global randomness")


def _malformed(tool: BaseTool, calls: Sequence[ToolCall], seconds: float) -> Iterator[Finding]:
    promise = "malformed calls"
    wrong: list[Json] = [{}, {"no_such_argument": 1}, *({name: object.__name__} for name in calls[0].arguments)]
    odd: tuple[Any, ...] = (None, [[]], {"a": {"b": 1}}, "\ud800", "é\0", "x" * 10**5)
    wrong += [dict.fromkeys(calls[0].arguments, value) for value in odd]
    for arguments in wrong:
        try:
            _episode(tool, [ToolCall(tool.name, arguments)], seconds)
        except ToolFault as fault:
            fix = "raise ToolException for what the caller did wrong: a fault ends the episode unscored"
            if "TypeError" in str(fault) and "unexpected keyword argument" in str(fault):
                fix = "give it an args_schema: what that does not list never reaches the tool"
            yield broken(promise, f"{json.dumps(arguments)[:60]} -> {fault}", fix)
            return
    yield kept(promise, f"{len(wrong)} were answered, none was a fault")


def _unchanged(tool: BaseTool, calls: Sequence[ToolCall], seconds: float) -> Iterator[Finding]:
    """Looked at once it has been called: by then a tool that changes has done so."""
    promise = "schema stays the same"
    if json.dumps(shown_schema(tool)) == json.dumps(prepare(tool).schema):
        yield kept(promise)
    else:
        yield broken(promise, "asked again it differs", "make the schema once; prompts are cached")


def _stopping(tool: BaseTool, calls: Sequence[ToolCall], seconds: float) -> Iterator[Finding]:
    prepared = prepare(tool)
    if prepared.stoppable:
        yield note("stopping", "runs outside this process: a call past its time is ended")
    elif isinstance(tool, RemoteTool):
        yield note("stopping", "runs on a server: a call past its time is given up; the server may go on with it")
    else:
        yield note("stopping", "runs in this process: a call past its time is abandoned, counted, and a fault")
    kind = "computes from its arguments" if prepared.computes else "answers about the task (the donor's in shuffled)"
    yield note("in the shuffled world", kind)
    yield note("snapshots", "not of episodes that used it" if prepared.stateful else "yes: it declares none")
