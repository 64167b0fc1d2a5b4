"""``python`` and ``shell``: state within an episode, what counts as the policy's error, what as a fault."""

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated, Any

import pytest
from langchain_core.tools import StructuredTool

from reachlab import Sandbox, SandboxLimits, SandboxResult, SandboxSession, ToolCall, ToolResult
from reachlab.errors import BadValue, ToolFault
from reachlab.registry import Spec
from reachlab.sandbox.jail import Jail
from reachlab.sandbox.unconfined import Unconfined
from reachlab.tools import PerEpisode, ToolExecutor, prepare, python_tool, shell_tool
from reachlab.tools import code as code_tools
from reachlab.tools.code import NO_OUTPUT, close_sandboxes, told


@pytest.fixture(scope="module")
def jail() -> Iterator[Jail]:
    with closing(Jail()) as started:
        yield started


@pytest.fixture
def tools(jail: Jail) -> Iterator[ToolExecutor]:
    with closing(ToolExecutor([python_tool(jail, cpu_seconds=0.5), shell_tool(jail, cpu_seconds=0.5)])) as executor:
        yield executor


def ask(tools: ToolExecutor, text: str, name: str = "python") -> ToolResult:
    return tools.execute([ToolCall(name, {"code": text})])[0]


def test_the_model_sees_one_argument(jail: Jail) -> None:
    for tool in (python_tool(jail), shell_tool(jail)):
        assert list(prepare(tool).schema["function"]["parameters"]["properties"]) == ["code"]
        assert prepare(tool).stateful and prepare(tool).computes


def test_python_keeps_variables_within_an_episode_and_no_longer(jail: Jail) -> None:
    tool = python_tool(jail)
    one, two = ToolExecutor([tool]), ToolExecutor([tool])
    assert ask(one, "x = 6") == ToolResult(NO_OUTPUT)
    assert ask(one, "print(x * 7)") == ToolResult("42")
    assert "NameError" in ask(two, "print(x)").text
    one.close()
    assert "NameError" in ask(one, "print(x)").text
    for executor in (one, two):
        executor.close()


def test_shell_and_python_share_the_files_of_an_episode(tools: ToolExecutor) -> None:
    ask(tools, "open('note', 'w').write('from python')")
    assert ask(tools, "cat note; echo ' to shell' >> note", "shell").text == "from python"
    assert ask(tools, "print(open('note').read())").text == "from python to shell\n"


@pytest.mark.parametrize(
    ("code", "name", "first"),
    [
        ("print('before')\n1 / 0", "python", "Error: ZeroDivisionError: division by zero\nbefore\n"),
        ("x = (", "python", "Error: SyntaxError"),
        ("import sys; sys.exit(3)", "python", "Error: exit code 3"),
        ("echo said; exit 4", "shell", "Error: exit code 4\nsaid"),
        ("while True: pass", "python", "Error: stopped by the limit on processor time"),
        ("x = bytearray(2**30)", "python", "Error: stopped by the limit on memory"),
    ],
)
def test_code_that_fails_is_the_policys_error(tools: ToolExecutor, code: str, name: str, first: str) -> None:
    result = ask(tools, code, name)
    assert result.is_error and result.text.startswith(first)
    assert ask(tools, "print('still here')").text == "still here"


def test_output_that_is_no_text_survives(tools: ToolExecutor) -> None:
    assert ask(tools, "import sys; sys.stdout.buffer.write(b'a\\xff\\x00b')").text == "a\ufffd\x00b"
    assert ask(tools, "print('\\ud800' in 'x', 'é')").text == "False é"


def test_arguments_that_do_not_fit_open_no_session() -> None:
    opened = []

    class Counting:
        def session(self) -> SandboxSession:
            opened.append(1)
            return Unconfined(allow_unsafe=True).session()

        def run(self, *_: Any) -> SandboxResult:
            raise AssertionError("a tool runs in a session")

        def close(self) -> None: ...

    executor = ToolExecutor([python_tool(Counting())])
    for arguments in ({}, {"code": 1}, {"code": "1", "session": None}):
        assert executor.execute([ToolCall("python", arguments)])[0].is_error
    assert opened == []
    ask(executor, "print(1)")
    ask(executor, "print(1)")
    assert opened == [1]
    executor.close()


def test_a_backend_that_cannot_start_is_a_fault() -> None:
    def broken() -> Any:
        raise OSError("no sandbox today")

    def run(code: str, session: Annotated[Any, PerEpisode(broken)]) -> str:
        """Run."""
        return ""

    with pytest.raises(ToolFault, match="no sandbox today"):
        ToolExecutor([StructuredTool.from_function(run)]).execute([ToolCall("run", {"code": ""})])


def test_the_fast_path_and_invoke_agree(jail: Jail) -> None:
    tool = python_tool(jail)
    session = jail.session()
    for text in ("print('a')", "1 +", "x = 1"):
        fast = ask(ToolExecutor([tool]), text)
        try:
            slow = tool.invoke({"code": text, "session": session})
        except Exception as error:
            slow = f"Error: {error}"
        assert fast.text == slow
    session.close()


def test_it_is_built_from_a_spec() -> None:
    tool = Spec("python", {"sandbox": "jail", "options": {"pool": 1}, "memory_bytes": 2**27}).build("tools")
    with closing(ToolExecutor([tool])) as executor:
        assert ask(executor, "print(1)").text == "1"


def test_named_sandboxes_can_be_ended_and_start_again() -> None:
    def started() -> list[Sandbox]:
        return list(code_tools._STARTED.values())

    tool = python_tool("jail", {"pool": 0})
    close_sandboxes()
    assert not started()
    ended = []
    for _ in range(2):
        with closing(ToolExecutor([tool])) as executor:
            assert ask(executor, "print(1)").text == "1"
        ended += started()
        close_sandboxes()
        assert not started()
    assert len(ended) == 2
    for sandbox in ended:
        with pytest.raises(ToolFault, match="closed"):
            sandbox.run("1", SandboxLimits())


def test_bad_limits_and_options_are_named(jail: Jail) -> None:
    with pytest.raises(BadValue, match="cpu_seconds"):
        python_tool(jail, cpu=3)
    with pytest.raises(BadValue, match="already made"):
        python_tool(jail, {"pool": 1})


def test_both_streams_are_told_in_order() -> None:
    result = SandboxResult(b"out\n", b"warning\n", 0, 0.1, 0.1, 1)
    assert told(result) == "out\nwarning"
