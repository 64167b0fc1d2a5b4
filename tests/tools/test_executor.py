"""The two error channels, the cap, call order, and the fast path against ``invoke``."""

import asyncio
import json
import threading
import time
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool, Tool, ToolException, tool
from pydantic import BaseModel, Field, field_validator

from reachlab import ToolCall, ToolResult
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import BadValue, ToolFault
from reachlab.tools import ToolExecutor, prepare


@tool
def shout(text: str, times: int = 1) -> str:
    """Say it louder."""
    return (text.upper() + "!") * times


@tool
def lookup(key: str) -> Any:
    """Return what the key stands for."""
    return {"dict": {"é": [1, None]}, "list": ["a", 2], "none": None, "number": 1.5, "empty": ""}[key]


@tool
def fail(reason: str) -> str:
    """Always fail."""
    if reason == "policy":
        raise ToolException("not like that")
    raise RuntimeError("disk full")


class Point(BaseModel):
    """A point."""

    x: int = Field(description="Across.", alias="ex")
    tags: list[str] = Field(default_factory=lambda: ["new"])

    @field_validator("tags")
    @classmethod
    def _no_empty_tag(cls, tags: list[str]) -> list[str]:
        if "" in tags:
            raise ValueError("a tag is empty")
        return tags


plot = StructuredTool.from_function(lambda x, tags: f"{x} {tags}", name="plot", description="Plot.", args_schema=Point)
single = Tool.from_function(lambda text: text[::-1], name="single", description="Reverse.", args_schema=None)


def run(tools: list[BaseTool], name: str, **arguments: Any) -> ToolResult:
    return ToolExecutor(tools).execute([ToolCall(name, arguments)])[0]


CASES: list[tuple[BaseTool, dict[str, Any]]] = [
    (shout, {"text": "a"}),
    (shout, {"text": "a", "times": 3}),
    (shout, {"text": "a", "times": "3"}),
    (shout, {"text": "a", "unknown": 1}),
    (shout, {}),
    (shout, {"text": 5}),
    (shout, {"text": "a", "times": "many"}),
    (lookup, {"key": "dict"}),
    (lookup, {"key": "list"}),
    (lookup, {"key": "none"}),
    (lookup, {"key": "number"}),
    (lookup, {"key": "empty"}),
    (fail, {"reason": "policy"}),
    (plot, {"ex": 1}),
    (plot, {"ex": 1, "tags": ["b"]}),
    (plot, {"x": 1}),
    (plot, {"ex": 1, "tags": [""]}),
    (single, {"__arg1": "abc"}),
    (single, {"a": "b", "c": "d"}),
]


@pytest.mark.parametrize(("subject", "arguments"), CASES)
def test_fast_path_gives_what_invoke_gives(subject: BaseTool, arguments: dict[str, Any]) -> None:
    message, error = None, None
    try:
        call = {"name": subject.name, "args": arguments, "id": "1", "type": "tool_call"}
        message = subject.invoke(call)
    except (ToolException, ValueError) as caught:
        error = caught
    result = run([subject], subject.name, **arguments)
    assert result.is_error == (error is not None)
    if message is not None:
        text = message.content if isinstance(message.content, str) else json.dumps(message.content)
        assert result.text == text
    assert result.text.startswith("Error:") == result.is_error


def test_the_fast_path_is_taken_only_where_invoke_adds_nothing() -> None:
    assert all(prepare(t).direct for t in (shout, lookup, fail, plot))
    handled = StructuredTool.from_function(lambda a: "x", name="t", description="d", handle_tool_error=True)
    watched = StructuredTool.from_function(lambda a: "x", name="t", description="d", callbacks=[BaseCallbackHandler()])
    assert not prepare(handled).direct and not prepare(watched).direct and not prepare(single).direct


def test_fast_path_is_fast() -> None:
    """15 microseconds a call is the promise; best of several, since the machine is shared."""
    family = Lexicon(digits=(4,), entities=8)
    executor = ToolExecutor(family.tools(family.task("test", 0)))
    calls = [ToolCall("search", {"query": "a's code"})]
    best = min(_seconds(lambda: executor.execute(calls), 500) for _ in range(10))
    assert best < 15e-6


def _seconds(work: Any, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def test_results_come_in_call_order() -> None:
    async def nap(seconds: float) -> str:
        """Sleep."""
        await asyncio.sleep(seconds)
        return f"{seconds}"

    sleeper = StructuredTool.from_function(coroutine=nap, name="nap", description="Sleep.")
    calls = [ToolCall("nap", {"seconds": 0.03}), ToolCall("shout", {"text": "a"}), ToolCall("nap", {"seconds": 0.0})]
    assert [r.text for r in ToolExecutor([sleeper, shout]).execute(calls)] == ["0.03", "A!", "0.0"]


def test_async_tools_work_inside_a_running_event_loop() -> None:
    async def double(n: int) -> int:
        """Double."""
        return 2 * n

    doubler = StructuredTool.from_function(coroutine=double, name="double", description="Double.")

    async def notebook() -> ToolResult:
        return run([doubler], "double", n=4)

    assert asyncio.run(notebook()).text == "8"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (ToolCall("", {}, "the call is not valid JSON"), "not valid JSON"),
        (ToolCall("shuot", {"text": "a"}), "Did you mean 'shout'?"),
        (ToolCall("shout", {}), "text: Field required"),
        (ToolCall("shout", {"text": ["a"]}), "text: Input should be a valid string"),
        (ToolCall("fail", {"reason": "policy"}), "not like that"),
    ],
)
def test_what_the_policy_caused_is_an_observation(call: ToolCall, says: str) -> None:
    (result,) = ToolExecutor([shout, fail]).execute([call])
    assert result.is_error and result.text.startswith("Error: ") and says in result.text
    assert len(result.text) < 120


def test_anything_else_is_a_fault_not_an_observation() -> None:
    with pytest.raises(ToolFault, match="'fail'.*RuntimeError: disk full"):
        run([fail], "fail", reason="host")


def test_a_validation_error_inside_the_tool_is_a_fault() -> None:
    def broken(text: str) -> str:
        """Validate something of its own."""
        return str(Point.model_validate({"y": text}))

    with pytest.raises(ToolFault, match="broken"):
        run([StructuredTool.from_function(broken)], "broken", text="a")


@pytest.mark.parametrize("handled", [False, True])
def test_slow_tools_use_the_same_two_channels(handled: bool) -> None:
    assert isinstance(fail, StructuredTool)
    slow = StructuredTool.from_function(
        fail.func, name="slow", description="d", callbacks=[BaseCallbackHandler()], handle_tool_error=handled
    )
    result = run([slow], "slow", reason="policy")
    assert result.is_error and "not like that" in result.text
    assert run([slow], "slow").text == "Error: slow: reason: Field required"
    with pytest.raises(ToolFault, match="disk full"):
        run([slow], "slow", reason="host")


def test_content_and_artifact_shows_the_content_only() -> None:
    @tool(response_format="content_and_artifact")
    def rank(query: str) -> tuple[str, dict[str, float]]:
        """Rank."""
        return "first document", {"score": 0.9}

    assert run([rank], "rank", query="a").text == "first document"


def test_text_blocks_become_text() -> None:
    @tool
    def blocks(query: str) -> list[dict[str, str]]:
        """Answer in blocks."""
        return [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]

    assert run([blocks], "blocks", query="a").text == "one\ntwo"


def test_a_policy_cannot_write_injected_arguments() -> None:
    @tool
    def spend(amount: int, balance: Annotated[int, InjectedToolArg] = 10) -> str:
        """Spend."""
        return f"{balance - amount} left"

    assert run([spend], "spend", amount=3).text == "7 left"
    refused = run([spend], "spend", amount=3, balance=1_000_000)
    assert refused.is_error and "no argument 'balance'" in refused.text
    assert "balance" not in json.dumps(ToolExecutor([spend]).schemas)


def test_tools_described_by_a_json_schema_are_validated_too() -> None:
    schema = {
        "title": "add",
        "type": "object",
        "description": "Add.",
        "properties": {"a": {"type": "integer"}, "b": {"type": ["number", "null"]}},
        "required": ["a"],
    }
    add = StructuredTool(name="add", description="Add.", args_schema=schema, func=lambda a, b=0: a + (b or 0))
    assert run([add], "add", a=1, b=2.5).text == "3.5"
    whole = "type integer"
    bad: list[tuple[dict[str, Any], str]] = [({}, "a: Field required"), ({"a": "1"}, whole), ({"a": True}, whole)]
    for arguments, says in bad:
        result = run([add], "add", **arguments)
        assert result.is_error and says in result.text
    assert "c: no such argument" in run([add], "add", a=1, c=2).text


def test_long_output_is_cut_and_marked_and_stays_within_the_cap() -> None:
    (result,) = ToolExecutor([shout], output_chars=60).execute([ToolCall("shout", {"text": "a" * 500})])
    assert len(result.text) == 60 and result.text.startswith("AAA")
    assert result.text.endswith("[cut: 501 characters in all]")
    assert ToolExecutor([shout], output_chars=60).cap("b" * 60) == "b" * 60
    with pytest.raises(BadValue, match="got 5"):
        ToolExecutor([shout], output_chars=5)


def test_lone_surrogates_never_reach_a_tokenizer() -> None:
    for text in (run([shout], "shout", text="\ud800").text, run([shout], "\udfff").text):
        assert text.encode("utf-8")


def test_a_call_that_does_not_return_is_abandoned_and_a_fault() -> None:
    stop = threading.Event()
    stuck = StructuredTool.from_function(
        lambda a: stop.wait(30), name="stuck", description="d", args_schema=None, callbacks=[BaseCallbackHandler()]
    )
    start = time.perf_counter()
    with pytest.raises(ToolFault, match=r"after 0\.05 s"):
        ToolExecutor([stuck], seconds=0.05).execute([ToolCall("stuck", {"a": "x"})])
    stop.set()
    assert time.perf_counter() - start < 5


def test_check_runs_nothing_and_agrees_with_execute() -> None:
    ran = []
    probe = StructuredTool.from_function(lambda a: ran.append(a), name="probe", description="d")
    executor = ToolExecutor([probe])
    assert executor.check(ToolCall("probe", {"a": 1})) is None and ran == []
    bad = ToolCall("prob", {})
    assert executor.check(bad) == executor.execute([bad])[0]


class Crashing(BaseModel):
    """Arguments whose validator raises what it should not."""

    kind: str

    @field_validator("kind")
    @classmethod
    def _raise(cls, kind: str) -> str:
        raise ToolException("not like that") if kind == "policy" else KeyError(kind)


@pytest.mark.parametrize("callbacks", [[], [BaseCallbackHandler()]], ids=["fast", "slow"])
def test_a_validator_that_crashes_is_the_same_in_check_and_execute(callbacks: list[BaseCallbackHandler]) -> None:
    crashing = StructuredTool.from_function(
        lambda kind: kind, name="crashing", description="d", args_schema=Crashing, callbacks=callbacks
    )
    executor = ToolExecutor([crashing])
    for run_or_check in (executor.check, lambda call: executor.execute([call])[0]):
        with pytest.raises(ToolFault, match="'crashing' failed: KeyError: 'host'"):
            run_or_check(ToolCall("crashing", {"kind": "host"}))
        result = run_or_check(ToolCall("crashing", {"kind": "policy"}))
        assert result == ToolResult("Error: not like that", is_error=True)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(BadValue, match="all different"):
        ToolExecutor([shout, shout])


def test_async_tools_of_one_turn_run_side_by_side_and_answer_in_call_order() -> None:
    running, most = [0], [0]

    async def wait(label: str, seconds: float) -> str:
        """Wait."""
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(seconds)
        running[0] -= 1
        return label

    slow = StructuredTool.from_function(coroutine=wait, name="wait", description="Wait.")
    calls = [ToolCall("wait", {"label": str(i), "seconds": 0.3 - 0.1 * i}) for i in range(3)]
    results = ToolExecutor([slow, shout]).execute([*calls, ToolCall("shout", {"text": "x"}), ToolCall("wait", {})])
    assert [r.text for r in results[:4]] == ["0", "1", "2", "X!"] and results[4].is_error
    assert most[0] == 3


def test_a_fault_beside_other_async_calls_is_still_a_fault() -> None:
    async def break_down(late: bool) -> str:
        """Break down or not."""
        if late:
            raise RuntimeError("gone")
        return "fine"

    broken = StructuredTool.from_function(coroutine=break_down, name="b", description="B.")
    with pytest.raises(ToolFault, match="gone"):
        ToolExecutor([broken]).execute([ToolCall("b", {"late": False}), ToolCall("b", {"late": True})])


@pytest.mark.parametrize("callbacks", [[], [BaseCallbackHandler()]], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("\ud800", "not valid Unicode text"),
        ({"a": ["\udfff"]}, "not valid Unicode text"),
        ({"\ud800": 1}, "not valid Unicode text"),
        (json.loads("[" * 500 + "]" * 500), "nested more than 100 levels"),
    ],
)
def test_what_no_tool_can_take_is_refused_before_any_tool(
    callbacks: list[BaseCallbackHandler], value: Any, says: str
) -> None:
    ran: list[Any] = []

    def probe(text: Any) -> str:
        ran.append(text)
        return "ran"

    subject = StructuredTool.from_function(probe, name="probe", description="d", callbacks=callbacks)
    result = run([subject], "probe", text=value)
    assert result.is_error and result.text.startswith("Error: probe: ") and says in result.text and ran == []
    assert run([subject], "probe", **{"\ud800": 1}).is_error and ran == []
    assert ToolExecutor([subject]).check(ToolCall("probe", {"text": value})) == result
    for fine in ("\U0001f600 é", {"a": [[1, None]]}):
        assert run([subject], "probe", text=fine).text == "ran"


class Repeats(BaseTool):
    """A class without an ``args_schema``."""

    name: str = "repeats"
    description: str = "Say it again."

    def _run(self, text: str, times: int = 1) -> str:
        return text * times


class Anything(Repeats):
    """What it takes cannot be known."""

    def _run(self, **arguments: Any) -> str:  # type: ignore[override]
        return str(sorted(arguments))


class Open(BaseModel, extra="allow"):
    """Lets every name through; the function does not."""

    text: str


def test_a_class_without_a_schema_is_held_to_the_signature_of_its_function() -> None:
    repeats = Repeats()
    assert run([repeats], "repeats", text="a").text == "a"
    assert run([repeats], "repeats", text="a", times="3").text == "aaa"
    wrong: list[dict[str, Any]] = [{}, {"text": "a", "loud": 1}, {"text": "a", "times": "many"}]
    for arguments in wrong:
        assert run([repeats], "repeats", **arguments).text.startswith("Error: repeats: ")
    assert run([Anything()], "repeats", a=1, b=2).text == "['a', 'b']"


@pytest.mark.parametrize("callbacks", [[], [BaseCallbackHandler()]], ids=["plain", "watched"])
def test_names_that_only_the_schema_lets_through_are_refused(callbacks: list[BaseCallbackHandler]) -> None:
    subject = StructuredTool.from_function(
        lambda text: text, name="open", description="d", args_schema=Open, callbacks=callbacks
    )
    assert run([subject], "open", text="a").text == "a"
    assert run([subject], "open", text="a", loud=1).text == "Error: open: loud: no such argument"


def test_a_typed_function_stands_for_its_tool() -> None:
    def add(a: int, b: int = 1) -> str:
        """Add."""
        return str(a + b)

    executor = ToolExecutor([add])
    assert executor.execute([ToolCall("add", {"a": "2"})])[0].text == "3"
    assert executor.schemas[0]["function"]["description"] == "Add."
    bare: list[Any] = [lambda a: a, 3, int]
    for given in bare:
        with pytest.raises(BadValue, match=r"types and a docstring.*decorate it with langchain_core\.tools\.tool"):
            ToolExecutor([given])
