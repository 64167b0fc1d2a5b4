"""Tools that go wrong, through the executor and through ``check_tool``: clear errors, nothing lost, no endless wait.

Plain ones here; in a process of their own and behind MCP as far as that differs (``services``).
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel

from reachlab import ToolCall, ToolResult
from reachlab.errors import ToolFault
from reachlab.tools import ToolExecutor, check_tool, prepare
from reachlab.tools.outside.isolated import isolated
from reachlab.tools.outside.shared import close_shared
from tests.tools.servers import victims

services = pytest.mark.services
SERVER = str(Path(__file__).parent / "servers" / "files.py")
VICTIMS = "tests.tools.servers.victims"
MEGABYTES = "x" * 10 * 2**20


def problems(tool: BaseTool, arguments: dict[str, Any], seconds: float = 10.0) -> dict[str, str]:
    return {f.promise: f.detail for f in check_tool(tool, [arguments], seconds) if f.status == "problem"}


def notes(tool: BaseTool, arguments: dict[str, Any]) -> dict[str, str]:
    return {f.promise: f.detail for f in check_tool(tool, [arguments]) if f.status == "note"}


def ask(executor: ToolExecutor, name: str, /, **arguments: Any) -> ToolResult:
    return executor.execute([ToolCall(name, arguments)])[0]


def made(function: Callable[..., Any], path: str) -> BaseTool:
    """The function as a tool that is called directly, through LangChain's callbacks, or as a coroutine."""
    how: Any = {"name": "made", "description": "Made for a test."}
    if path == "fast":
        return StructuredTool.from_function(function, **how)
    if path == "slow":
        return StructuredTool.from_function(function, callbacks=[BaseCallbackHandler()], **how)

    async def coroutine(text: str) -> Any:
        return function(text)

    return StructuredTool.from_function(coroutine=coroutine, **how)


@pytest.fixture(params=["fast", "slow", "coroutine"])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Set when the test is over, so that no thread is left behind."""
    event = threading.Event()
    yield event
    event.set()


def test_a_plain_tool_that_hangs_is_a_fault_in_time(path: str, release: threading.Event) -> None:
    def hang(text: str) -> str:
        return str(release.wait(60))

    tool, begun = made(hang, path), time.monotonic()
    assert bool(prepare(tool).direct) == (path == "fast")
    with pytest.raises(ToolFault, match=r"no result after 0\.05 s; the call was abandoned \(\d+ abandoned in this"):
        ask(ToolExecutor([tool], seconds=0.05), "made", text="a")
    found = problems(tool, {"text": "a"}, seconds=0.05)
    assert list(found) == ["answers"] and "abandoned" in found["answers"], "one cause, one problem"
    assert time.monotonic() - begun < 20


def test_calls_beside_one_that_hangs_are_not_waited_for_without_an_end(release: threading.Event) -> None:
    tool, begun = made(lambda text: release.wait(60 if text == "hang" else 0), "coroutine"), time.monotonic()
    with pytest.raises(ToolFault, match="abandoned"):
        ToolExecutor([tool], seconds=0.1).execute([ToolCall("made", {"text": t}) for t in ("hang", "a", "hang")])
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "failure", [kind("disk full") for kind in (RuntimeError, MemoryError, SystemExit, AssertionError)]
)
def test_a_plain_tool_that_raises_is_a_fault_that_names_it(path: str, failure: BaseException) -> None:
    def fail(text: str) -> str:
        raise failure

    tool = made(fail, path)
    for seconds in (None, 5.0):
        with pytest.raises(ToolFault, match=f"tool 'made' failed: {type(failure).__name__}: disk full"):
            ask(ToolExecutor([tool], seconds=seconds), "made", text="a")
    assert "disk full" in problems(tool, {"text": "a"})["answers"]


def test_a_tool_that_cancels_itself_is_a_fault() -> None:
    def cancel(text: str) -> str:
        raise asyncio.CancelledError

    with pytest.raises(ToolFault, match="CancelledError"):
        ask(ToolExecutor([made(cancel, "fast")]), "made", text="a")


def test_an_interrupt_is_not_a_fault() -> None:
    def interrupted(text: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(ToolExecutor([made(interrupted, "fast")]), "made", text="a")


def test_ten_megabytes_from_a_plain_tool_are_cut_and_marked(path: str) -> None:
    tool = made(lambda text: MEGABYTES, path)
    told = ask(ToolExecutor([tool]), "made", text="a").text
    assert len(told) == 4000 and told.endswith("\n[cut: 10485760 characters in all]")
    assert problems(tool, {"text": "a"}) == {"fits": "10485760 characters"}


@pytest.mark.parametrize(
    ("output", "text"),
    [(b"\xff", "b'\\xff'"), (None, "null"), ([1, {"a": None}], '[1, {"a": null}]'), (float("nan"), "NaN")],
)
def test_what_is_no_text_becomes_text(path: str, output: Any, text: str) -> None:
    tool = made(lambda text: output, path)
    assert ask(ToolExecutor([tool]), "made", text="a") == ToolResult(text)
    assert problems(tool, {"text": "a"}) == {}
    said = notes(tool, {"text": "a"}).get("is text", "")
    assert {bytes: "bytes: the policy reads b'", type(None): "nothing (None)"}.get(type(output), "") in said
    assert bool(said) == isinstance(output, bytes | None)


def test_an_object_is_shown_as_python_does_and_check_tool_objects(path: str) -> None:
    kept = object()
    tool = made(lambda text: kept, path)
    assert "object object at 0x" in ask(ToolExecutor([tool]), "made", text="a").text
    assert "object at 0x" in problems(tool, {"text": "a"})["is text"]


@pytest.mark.parametrize("path", ["fast", "slow"])
def test_a_tool_that_changes_its_schema_is_found_and_never_blamed_on_the_policy(path: str) -> None:
    tool = changing(path)
    executor = ToolExecutor([tool])
    shown = executor.schemas
    assert ask(executor, "made", text="a").text == "changed"
    assert executor.schemas == shown, "what the model was shown stays"
    if path == "slow":
        with pytest.raises(ToolFault, match="its schema has changed since it was shown"):
            ask(executor, "made", text="a")
    else:
        assert ask(executor, "made", text="a").text == "changed", "the fast path goes by what was shown"
    assert ask(executor, "made", path="a").text == "Error: made: text: Field required"
    assert "schema stays the same" in problems(changing(path), {"text": "a"})


def changing(path: str) -> BaseTool:
    """Takes other arguments once it has been called."""

    class Other(BaseModel):
        path: str

    def change(text: str) -> str:
        tool.args_schema = Other
        return "changed"

    tool = made(change, path)
    return tool


def test_a_plain_tool_that_shares_state_between_episodes_is_found(path: str) -> None:
    seen: list[str] = []

    def remember(text: str) -> int:
        seen.append(text)
        return len(seen)

    assert "', then '" in problems(made(remember, path), {"text": "a"})["same again"]


@services
@pytest.mark.parametrize(
    ("how", "says"), [("hang", "stopped after 0.5 s"), ("raise", "disk full"), ("segfault", "killed by SIGSEGV")]
)
def test_an_isolated_tool_that_goes_wrong_is_found(how: str, says: str) -> None:
    found = problems(isolated(victims.misbehave, seconds=0.5), {"how": how})
    assert list(found) == ["answers"] and says in found["answers"]


@services
def test_what_isolated_tools_return_is_told_as_of_any_other() -> None:
    tool = isolated(victims.answer_in)
    with closing(ToolExecutor([tool])) as executor:
        told = [ask(executor, "answer_in", kind=kind).text for kind in ("bytes", "none", "list", "big")]
    assert told[:3] == ["b'\\xff'", "null", '[1, {"a": null}]']
    assert len(told[3]) == 4000 and told[3].endswith("[cut: 10485760 characters in all]")
    assert problems(tool, {"kind": "big"})["fits"] == "10485760 characters"
    assert "object at 0x" in problems(tool, {"kind": "object"})["is text"]


@services
def test_isolated_tools_share_state_between_episodes_only_if_they_are_told_to() -> None:
    assert problems(isolated(victims.remember), {"n": 1}) == {}
    assert "[1, 1]" in problems(isolated(victims.remember, shared=True), {"n": 1})["same again"]
    close_shared()
    assert "a call past its time is ended" in notes(isolated(victims.add), {"a": 1})["stopping"]


@services
@pytest.mark.parametrize(
    ("name", "promise", "says"),
    [
        ("hang", "answers", "no answer within 1 s"),
        ("die", "answers", "the disk is gone"),
        ("big", "fits", "10485760 characters"),
        ("identify", "same again", "', then '"),
        ("hidden", "same again", "', then '"),
    ],
)
def test_an_mcp_server_that_goes_wrong_is_found(tmp_path: Path, name: str, promise: str, says: str) -> None:
    pytest.importorskip("mcp")
    from reachlab.tools.mcp import mcp_tools

    shared = name == "hidden"
    wanted, arguments = ("remember", {"note": "a"}) if shared else (name, {})
    begun = time.monotonic()
    command = [sys.executable, SERVER, str(tmp_path)]
    (tool,) = mcp_tools(command, names=[wanted], shared=shared, call_seconds=1.0)
    assert says in problems(tool, arguments)[promise]
    close_shared()
    assert time.monotonic() - begun < 60
