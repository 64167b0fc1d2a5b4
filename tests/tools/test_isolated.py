"""Tools in processes of their own: stopping, crashes, state, and nothing left running."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from langchain_core.tools import StructuredTool

from reachlab import ToolCall, ToolResult
from reachlab.errors import BadValue, ToolFault, UnknownName
from reachlab.registry import Spec
from reachlab.tools import ToolExecutor, prepare
from reachlab.tools.outside.isolated import isolated
from reachlab.tools.outside.shared import close_shared
from tests.tools.servers import victims
from tests.tools.servers.counting import eventually_none, lives, processes

services = pytest.mark.services
VICTIMS = "tests.tools.servers.victims"


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    close_shared()
    assert eventually_none(f"supervise.py {os.getpid()} ") == []


def ask(executor: ToolExecutor, name: str, /, **arguments: Any) -> ToolResult:
    return executor.execute([ToolCall(name, arguments)])[0]


@services
def test_any_kind_of_tool_is_run_elsewhere_and_looks_the_same() -> None:
    tools = [isolated(victims.add), isolated(victims.plot), isolated("search", {"documents": ["red fox", "bear"]})]
    with closing(ToolExecutor(tools)) as executor:
        assert ask(executor, "add", a=1) == ToolResult("2")
        assert ask(executor, "plot", ex=3) == ToolResult("at 3")
        assert ask(executor, "search", query="fox") == ToolResult("red fox")
    assert prepare(tools[0]).schema == prepare(StructuredTool.from_function(victims.add)).schema
    assert prepare(isolated(f"{VICTIMS}:patient")).computes


def test_arguments_are_checked_without_a_process() -> None:
    executor = ToolExecutor([isolated(victims.add), isolated(f"{VICTIMS}:plot")])
    assert ask(executor, "add", a="x").text.startswith("Error: add: a: Input should be a valid integer")
    assert ask(executor, "plot", ex=-1).text == "Error: plot: ex: Input should be greater than or equal to 0"
    assert processes(f"supervise.py {os.getpid()} ") == []


@services
def test_each_episode_has_its_own_process_and_state() -> None:
    tools = [isolated(victims.remember), isolated(victims.tally)]
    one, two = ToolExecutor(tools), ToolExecutor(tools)
    assert [ask(one, "remember", n=n).text for n in (1, 2)] == ["[1]", "[1, 2]"]
    assert ask(two, "remember", n=3).text == "[3]"
    assert [ask(one, "tally", n=n).text for n in (1, 2)] == ["[1]", "[1, 2]"]  # hidden state of the tool's own
    one.close()
    assert ask(one, "remember", n=4).text == "[4]"
    one.close()
    two.close()


@services
def test_a_shared_process_serves_all_episodes_and_threads() -> None:
    tool = isolated(victims.misbehave, shared=True)
    with ThreadPoolExecutor(4) as threads:
        pids = set(threads.map(lambda _: ask(ToolExecutor([tool]), "misbehave", how="").text, range(20)))
    assert len(pids) == 1
    with pytest.raises(ToolFault, match="exit code 3"):
        ask(ToolExecutor([tool]), "misbehave", how="exit")
    assert ask(ToolExecutor([tool]), "misbehave", how="").text not in pids


@services
@pytest.mark.parametrize(
    ("how", "says"),
    [("segfault", "killed by SIGSEGV"), ("exit", "exit code 3"), ("sys.exit", "SystemExit: 4"), ("raise", "disk full")],
)
def test_a_crash_is_a_fault_and_the_next_call_has_a_fresh_process(how: str, says: str) -> None:
    with closing(ToolExecutor([isolated(victims.misbehave)])) as executor:
        with pytest.raises(ToolFault, match=says):
            ask(executor, "misbehave", how=how)
        assert not ask(executor, "misbehave", how="").is_error


@services
@pytest.mark.parametrize("how", ["hang", "hold the lock"])
def test_a_call_that_takes_too_long_is_stopped(how: str) -> None:
    with closing(ToolExecutor([isolated(victims.misbehave, seconds=0.5)])) as executor:
        pid = int(ask(executor, "misbehave", how="").text)
        begun = time.monotonic()
        with pytest.raises(ToolFault, match="stopped after 0.5 s"):
            ask(executor, "misbehave", how=how)
        assert time.monotonic() - begun < 5
        assert not lives(pid)


@services
@pytest.mark.parametrize("options", [{}, {"timeouts": "fault"}])
def test_who_is_to_blame_for_a_timeout_is_what_the_tool_or_the_option_says(options: dict[str, Any]) -> None:
    with closing(ToolExecutor([isolated(f"{VICTIMS}:patient", seconds=0.3, **options)])) as executor:
        if options:
            with pytest.raises(ToolFault, match="stopped after"):
                ask(executor, "nap", seconds=60)
        else:
            assert ask(executor, "nap", seconds=60) == ToolResult("Error: stopped after 0.3 s", is_error=True)
        assert ask(executor, "nap", seconds=0).text == "rested"


def test_what_a_tool_prints_and_refuses() -> None:
    with closing(ToolExecutor([isolated(victims.misbehave)])) as executor:
        assert ask(executor, "misbehave", how="policy") == ToolResult("Error: not like that", is_error=True)
        assert ask(executor, "misbehave", how="").text.isdigit()  # and nothing of what it printed


@services
def test_a_daemon_ends_with_the_episode() -> None:
    executor = ToolExecutor([isolated(victims.misbehave)])
    daemon = int(ask(executor, "misbehave", how="daemon").text)
    assert lives(daemon)
    executor.close()
    assert not lives(daemon)


@services
@pytest.mark.parametrize("end", ["time.sleep(600)", "raise SystemExit"])
def test_the_process_ends_with_its_owner(end: str) -> None:
    script = textwrap.dedent(f"""
        import sys, time
        sys.path[:0] = {sys.path!r}
        from reachlab import ToolCall
        from reachlab.tools import ToolExecutor
        from reachlab.tools.outside.isolated import isolated
        executor = ToolExecutor([isolated("{VICTIMS}:misbehave")])
        print(executor.execute([ToolCall("misbehave", {{"how": "daemon"}})])[0].text, flush=True)
        {end}
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        daemon = int(process.stdout.readline())
        if "sleep" in end:
            process.send_signal(signal.SIGKILL)
    assert eventually_none(f"supervise.py {process.pid} ") == []
    assert not lives(daemon)


@services
def test_outside_an_executor_each_call_has_a_process_of_its_own() -> None:
    tool = isolated(victims.remember)
    assert [tool.invoke({"n": n}) for n in (1, 2)] == ["[1]", "[2]"]


def test_a_spec_builds_it_and_it_takes_a_spec() -> None:
    inner = {"name": "search", "options": {"documents": ["red fox"]}}
    built = Spec("reachlab.tools.outside.isolated:isolated", {"tool": inner, "seconds": 5}).build("tools")
    assert built.name == "search"
    assert prepare(isolated(Spec.from_json(inner))).schema == prepare(built).schema


def test_what_cannot_be_isolated_is_named() -> None:
    def here(a: int) -> int:
        """A function that no other process can import."""
        return a

    for tool in (here, lambda a: a, "math:sqrt", print, "math:pi"):
        with pytest.raises(BadValue, match="got .*, allowed"):
            isolated(tool)
    with pytest.raises(BadValue, match="it is a tool already"):
        isolated(f"{VICTIMS}:plot", {"x": 1})
    with pytest.raises(BadValue, match="seconds: got 0"):
        isolated(victims.add, seconds=0)
    with pytest.raises(UnknownName, match="Did you mean 'observation'"):
        isolated(victims.add, timeouts="observe")  # type: ignore[arg-type]


@services
def test_half_a_surrogate_pair_is_refused_before_the_process() -> None:
    with closing(ToolExecutor([isolated(victims.remember)])) as executor:
        (refused,) = executor.execute([ToolCall("remember", {"n": "\ud800"})])
        assert refused.is_error and "not valid Unicode text" in refused.text
