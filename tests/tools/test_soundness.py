"""``check_tool`` finds what is planted, and nothing in what is sound."""

import json
import random
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pytest
from langchain_core.tools import BaseTool, StructuredTool, tool
from pydantic import Field
from typer.testing import CliRunner

from reachlab.cli import app
from reachlab.errors import Unsound
from reachlab.findings import Finding, require
from reachlab.tools import PerEpisode, check_tool, python_tool, search_tool, shell_tool
from reachlab.tools.search import Bm25


def made(function: Callable[..., Any], **options: Any) -> BaseTool:
    return StructuredTool.from_function(function, name="made", description="Made for a test.", **options)


def echo(text: Annotated[str, Field(description="What to say.")]) -> str:
    return text


def problems(found: list[Finding]) -> dict[str, str]:
    assert all(f.fix for f in found if f.status == "problem")
    return {f.promise: f.detail for f in found if f.status == "problem"}


@pytest.mark.parametrize(
    ("sound", "examples"),
    [
        (made(echo), []),
        (python_tool(), [{"code": "print(1)"}]),
        (shell_tool(), [{"code": "echo 1"}]),
        (search_tool(Bm25(["a test"]), k=1, description="Search."), []),
    ],
    ids=["echo", "python", "shell", "search"],
)
def test_sound_tools_are_sound(sound: BaseTool, examples: list[dict[str, Any]]) -> None:
    found = check_tool(sound, examples)
    require(found)
    assert len(found) >= 9


def counting() -> Callable[..., Any]:
    calls: list[str] = []

    def count(text: str) -> str:
        calls.append(text)
        return str(len(calls))

    return count


def drawing(text: str) -> str:
    return str(random.random() + np.random.random())


def crashing(text: str) -> str:
    return text.encode("latin-1" if text.isascii() else "ascii").decode()


@pytest.mark.parametrize(
    ("function", "promise", "seen"),
    [
        (counting(), "same again", "', then '"),
        (drawing, "no global randomness", "random, numpy.random"),
        (crashing, "malformed calls", "UnicodeEncodeError"),
        (lambda text: "", "says something", "''"),
        (lambda text: "x" * 5000, "fits", "5000 characters"),
    ],
    ids=["state", "randomness", "crash", "empty", "long"],
)
def test_what_is_wrong_is_found(function: Callable[..., Any], promise: str, seen: str) -> None:
    assert seen in problems(check_tool(made(function)))[promise]


def test_a_tool_that_cannot_be_called_at_all_is_a_finding_not_a_crash() -> None:
    def gone(text: str) -> str:
        raise OSError("the server is gone")

    found = problems(check_tool(made(gone)))
    assert list(found) == ["answers"] and "'made' failed: OSError: the server is gone" in found["answers"]
    skipped = [f for f in check_tool(made(gone)) if f.status == "skipped"]
    assert {"same again", "malformed calls"} < {f.promise for f in skipped}
    assert {f.detail for f in skipped} == {"needs 'answers'"}


def test_a_tool_that_hangs_ends_the_check() -> None:
    import threading

    async def hang(text: str) -> str:
        threading.Event().wait(5)
        return "late"

    slow = StructuredTool.from_function(coroutine=hang, name="hang", description="Hang.")
    assert "abandoned" in problems(check_tool(slow, seconds=0.1))["answers"]


def test_names_and_descriptions() -> None:
    unnamed = StructuredTool.from_function(echo, name="no spaces", description="D.")
    assert "name" in problems(check_tool(unnamed))
    silent = made(echo)
    silent.description = ""
    assert "there is none" in problems(check_tool(silent))["description"]


def test_it_says_which_tools_can_be_stopped_and_what_they_are_in_the_shuffled_world() -> None:
    said = {f.promise: f.detail for f in check_tool(python_tool(), [{"code": "print(1)"}])}
    assert "outside this process" in said["stopping"] and "computes" in said["in the shuffled world"]
    assert said["snapshots"].startswith("not")
    said = {f.promise: f.detail for f in check_tool(made(echo))}
    assert "in this process" in said["stopping"] and "donor" in said["in the shuffled world"]


def test_state_that_belongs_to_the_episode_is_sound() -> None:
    def count(text: str, seen: Annotated[Any, PerEpisode(list)]) -> str:
        seen.append(text)
        return str(len(seen))

    require(check_tool(made(count)))


def test_unsound_names_every_problem() -> None:
    with pytest.raises(Unsound, match=r"(?s)2 broken.*same again.*global"):
        require(check_tool(made(lambda text: str(random.random()))))


@tool
def sums(a: int, b: int = 1) -> str:
    """Add."""
    return str(a + b)


def test_the_command(tmp_path: Any) -> None:
    run = CliRunner().invoke
    fine = run(app, ["check-tool", "python", "--call", '{"code": "print(2)"}', "--json"])
    assert fine.exit_code == 0 and {f["status"] for f in json.loads(fine.stdout)["findings"]} == {"ok", "note"}
    broken = run(app, ["check-tool", "python", "--call", '{"code": "print("}'])
    assert broken.exit_code == 4 and "to fix" in broken.output and "1 broken" in broken.output
    assert run(app, ["check-tool", "pyton"]).exit_code == 2
    assert run(app, ["check-tool", "python", "--call", "print(2)"]).exit_code == 2
    assert run(app, ["check-tool", "search", "--option", 'documents=["a test"]']).exit_code == 0


def plain(a: int) -> str:
    """Add one."""
    return str(a + 1)


def untyped(a):  # type: ignore[no-untyped-def]
    return a


def makes(units: str = "C") -> BaseTool:
    return sums


several = [sums, made(echo)]


def test_the_command_takes_plain_functions_and_says_what_is_missing() -> None:
    run = CliRunner().invoke
    here = __name__
    assert run(app, ["check-tool", f"{here}:plain"]).exit_code == 0
    assert run(app, ["check-tool", f"{here}:makes"]).exit_code == 0
    refused = run(app, ["check-tool", f"{here}:untyped"])
    assert refused.exit_code == 2 and "plain function" in refused.output


def test_several_tools_have_a_heading_each_and_calls_that_name_them() -> None:
    run = CliRunner().invoke
    calls = [{"name": "sums", "arguments": {"a": 1}}, {"name": "made", "arguments": {"text": "hello"}}]
    options = [part for call in calls for part in ("--call", json.dumps(call))]
    shown = run(app, ["check-tool", f"{__name__}:several", *options])
    assert shown.exit_code == 0 and "sums:" in shown.output and "made:" in shown.output
    told = json.loads(run(app, ["check-tool", f"{__name__}:several", *options, "--json"]).stdout)["findings"]
    answered = [(f["of"], f["detail"]) for f in told if f["promise"] == "answers"]
    assert answered == [("sums", "{\"a\": 1} -> '2'"), ("made", "{\"text\": \"hello\"} -> 'hello'")]
    unknown = run(app, ["check-tool", f"{__name__}:several", "--call", '{"name": "sum", "arguments": {}}'])
    assert unknown.exit_code == 2 and "Did you mean 'sums'" in unknown.output
