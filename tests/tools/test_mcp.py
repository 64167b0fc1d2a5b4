"""The MCP bridge against real server processes: two channels, sessions, limits, and nothing left running."""

import asyncio
import json
import multiprocessing
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reachlab import ToolCall, ToolResult
from reachlab.errors import BadValue, MissingExtra, ToolFault, UnknownName
from reachlab.registry import Spec
from reachlab.tools import ToolExecutor, prepare
from reachlab.tools.mcp import mcp_tools
from reachlab.tools.mcp import sdk as sdk_module
from reachlab.tools.mcp.content import rendered
from reachlab.tools.mcp.servers import filled
from reachlab.tools.outside.remote import HIDDEN
from reachlab.tools.outside.shared import close_shared
from tests.tools.servers.counting import eventually_none, lives, processes

pytest.importorskip("mcp")
services = pytest.mark.services

SERVER = str(Path(__file__).parent / "servers" / "files.py")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The server's files. Its path is in the command line of every process of the test: none may be left."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("one\ntwo\n")
    yield tmp_path / "files"
    close_shared()
    assert eventually_none(str(tmp_path)) == []


def stdio(folder: Path, **options: Any) -> ToolExecutor:
    return ToolExecutor(mcp_tools([sys.executable, SERVER, str(folder)], **{"call_seconds": 20.0, **options}))


def ask(executor: ToolExecutor, name: str, /, **arguments: Any) -> ToolResult:
    return executor.execute([ToolCall(name, arguments)])[0]


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, SERVER, str(folder), "http", str(port)]) as process:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)


def hold_to_its_promises(executor: ToolExecutor) -> None:
    """What is the same over both transports."""
    assert ask(executor, "list_files") == ToolResult("a.txt")
    assert ask(executor, "read", name="a.txt", lines=1) == ToolResult("one")
    refused = ToolResult("Error: Error executing tool read: no file 'b'", is_error=True)
    assert ask(executor, "read", name="b") == refused
    assert ask(executor, "picture").text == "a dot\n[image: image/png, 100 bytes]"
    assert '"bytes": 8' in ask(executor, "stat", name="a.txt").text
    assert '"schema": "full"' in ask(executor, "stat", name="a.txt", schema="full").text
    big = ask(executor, "big")
    assert len(big.text) == 4000 and big.text.endswith("[cut: 10485760 characters in all]")


@pytest.mark.smoke
def test_a_server_over_stdio(folder: Path) -> None:
    with closing(stdio(folder)) as executor:
        hold_to_its_promises(executor)


@services
def test_a_server_over_http(address: str) -> None:
    with closing(ToolExecutor(mcp_tools(url=address, headers={"X-Test": "${HOME}"}))) as executor:
        hold_to_its_promises(executor)
        begun = time.monotonic()
        with closing(ToolExecutor(mcp_tools(url=address, call_seconds=0.5))) as impatient:
            with pytest.raises(ToolFault, match=f"{address} failed calling 'hang': .*0.5 s"):
                ask(impatient, "hang", seconds=2)
            assert ask(impatient, "list_files").text == "a.txt"
        forgiving = mcp_tools(url=address, call_seconds=0.5, timeouts="observation", names=["hang", "remember"])
        with closing(ToolExecutor(forgiving)) as patient:
            assert ask(patient, "remember", note="a").text == "a"
            assert ask(patient, "hang", seconds=2) == ToolResult("Error: stopped after 0.5 s", is_error=True)
            assert ask(patient, "remember", note="b").text == "a,b", "the server's own state outlives any session"
        assert not prepare(forgiving[0]).stoppable
        assert time.monotonic() - begun < 10
        with pytest.raises(ToolFault, match="failed calling 'die'"):
            ask(executor, "die")
    with pytest.raises(ToolFault, match=f"{address} cannot be opened"):
        ask(executor, "list_files")


@services
def test_the_model_sees_the_servers_own_schema(folder: Path) -> None:
    (read,) = mcp_tools([sys.executable, SERVER, str(folder)], names=["read"], prefix="files_", computes=True)
    prepared = prepare(read)
    assert prepared.schema["function"]["name"] == "files_read"
    assert prepared.schema["function"]["description"] == "The content of a file."
    parameters = prepared.schema["function"]["parameters"]
    assert parameters["required"] == ["name"]
    assert parameters["properties"] == {
        "name": {"description": "Name of the file.", "type": "string"},
        "lines": {"default": 1000, "type": "integer"},
    }
    assert prepared.stateful and prepared.computes and prepared.hidden == {HIDDEN}
    shared = mcp_tools([sys.executable, SERVER, str(folder)], names=["read", "remember"], shared=True)
    assert [prepare(tool).stateful for tool in shared] == [False, True]  # the server says that read only reads


@services
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "read: arguments: 'name' is a required property"),
        ({"name": 1}, "read: name: 1 is not of type 'string'"),
        ({"name": "a.txt", "lines": "many"}, "read: lines: 'many' is not of type 'integer'"),
        ({"name": "a", "line": 1}, "read: arguments: Additional properties are not allowed ('line' was unexpected)"),
        ({"name": "a.txt", HIDDEN: 1}, f"read takes no argument {HIDDEN!r}"),
    ],
)
def test_arguments_are_held_to_the_schema_without_a_server(
    folder: Path, arguments: dict[str, Any], says: str
) -> None:
    executor = stdio(folder)
    assert executor.execute([ToolCall("read", arguments)]) == [ToolResult(f"Error: {says}", is_error=True)]
    assert processes(str(folder)) == []


@services
def test_each_episode_has_a_session_of_its_own(folder: Path) -> None:
    one, two = stdio(folder), stdio(folder)
    assert [ask(one, "remember", note=n).text for n in "ab"] == ["a", "a,b"]
    assert ask(two, "remember", note="c").text == "c"
    assert len([line for line in processes(str(folder)) if "supervise" not in line]) == 2
    one.close()
    assert ask(one, "remember", note="d").text == "d"
    one.close()
    two.close()
    one.close()
    assert processes(str(folder)) == []


@services
def test_a_shared_session_is_one_for_all_episodes_and_threads(folder: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        pids = set(threads.map(lambda _: ask(stdio(folder, shared=True), "identify").text, range(40)))
    assert len(pids) == 1


@services
def test_a_server_that_dies_mid_call_is_a_fault_with_its_last_words(folder: Path) -> None:
    with closing(stdio(folder)) as executor:
        last_words = r"\(it said: the disk is gone \| exited with code 7\)"
        with pytest.raises(ToolFault, match=f"failed calling 'die'.*{last_words}"):
            ask(executor, "die")
        assert ask(executor, "list_files").text == "a.txt", "the next call has a fresh session"


@services
def test_what_no_encoder_can_take_is_refused_before_the_server_and_the_session_lives(folder: Path) -> None:
    with closing(stdio(folder)) as executor:
        before = ask(executor, "identify").text
        for note in ("\ud800", json.loads("[" * 500 + "]" * 500)):
            refused = ask(executor, "remember", note=note)
            assert refused.is_error and "Error: remember: the arguments are n" in refused.text
        assert ask(executor, "remember", note="é").text == "é"
        assert ask(executor, "identify").text == before


@services
def test_a_shared_server_that_died_is_started_again(folder: Path) -> None:
    executor = stdio(folder, shared=True)
    first = ask(executor, "identify").text
    with pytest.raises(ToolFault):
        ask(executor, "die")
    assert ask(executor, "identify").text != first


@services
def test_a_call_that_hangs_is_a_fault_in_time_and_its_process_is_killed(folder: Path) -> None:
    begun = time.monotonic()
    with closing(stdio(folder, call_seconds=0.5)) as executor, pytest.raises(ToolFault, match="'hang'.*0.5 s"):
        ask(executor, "hang")
    assert time.monotonic() - begun < 10
    assert processes(str(folder)) == []


@services
def test_late_calls_are_observations_where_that_is_said_and_the_next_has_a_fresh_process(folder: Path) -> None:
    with closing(stdio(folder, call_seconds=1.0, timeouts="observation")) as executor:
        assert ask(executor, "remember", note="a").text == "a"
        first, daemon = ask(executor, "identify").text, int(ask(executor, "daemon").text)
        assert ask(executor, "hang") == ToolResult("Error: stopped after 1 s", is_error=True)
        assert not lives(int(first)) and not lives(daemon), "what it was busy with, and all it started"
        assert ask(executor, "remember", note="b").text == "b", "without the state of the old one"
        assert ask(executor, "identify").text != first
        with pytest.raises(ToolFault, match="failed calling 'die'"):
            ask(executor, "die")  # a server that dies is nobody's timeout


@services
def test_late_calls_of_a_shared_session_are_observations_too_and_end_it(folder: Path) -> None:
    executor = stdio(folder, shared=True, call_seconds=1.0, timeouts="observation")
    first = ask(executor, "identify").text
    assert ask(executor, "hang") == ToolResult("Error: stopped after 1 s", is_error=True)
    assert not lives(int(first))
    assert ask(executor, "identify").text != first


@services
@pytest.mark.parametrize("deaf", [False, True])
def test_ending_a_server_that_hangs_takes_at_most_its_grace(folder: Path, deaf: bool) -> None:
    """Two seconds of the client library and one of ours; a second more here, since the machine is shared."""
    executor = stdio(folder, call_seconds=0.5)
    assert ask(executor, "list_files").text == "a.txt"
    begun = time.monotonic()
    with pytest.raises(ToolFault, match="'hang'.*0.5 s"):
        ask(executor, "hang", deaf=deaf)
    executor.close()
    assert 2 < time.monotonic() - begun < (4.5 if deaf else 3.5)
    assert processes(str(folder)) == []


@services
def test_a_daemon_that_a_server_left_behind_ends_with_the_session(folder: Path) -> None:
    executor = stdio(folder)
    daemon = int(ask(executor, "daemon").text)
    assert lives(daemon)
    executor.close()
    assert not lives(daemon)


@services
@pytest.mark.parametrize(("tool", "says"), [("read", "another schema"), ("stat", "is gone")])
def test_a_server_that_changes_after_listing_is_a_fault_that_says_so(folder: Path, tool: str, says: str) -> None:
    with closing(stdio(folder)) as executor:
        ask(executor, "swap", tool=tool)
        with pytest.raises(ToolFault, match=f"has changed since its tools were listed: '{tool}' .*{says}"):
            ask(executor, tool, name="a.txt")


@services
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; sys.exit('no licence')", "cannot be opened.*no licence"),
        ("import time; time.sleep(600)", "cannot be opened: no session within 0.7 s"),
        ("print('hello'); import time; time.sleep(600)", "cannot be opened"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_is_no_server_is_a_fault_in_time(tmp_path: Path, code: str, says: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ToolFault, match=says):
        mcp_tools([sys.executable, "-c", code, str(tmp_path)], start_seconds=0.7)
    assert time.monotonic() - begun < 10
    assert processes(str(tmp_path)) == []


@services
def test_a_server_of_the_old_protocol(tmp_path: Path) -> None:
    """It knows ``initialize`` alone, refuses arguments by a protocol error, and breaks down on request."""
    script = str(Path(SERVER).with_name("legacy.py"))
    (tool,) = mcp_tools([sys.executable, script, str(tmp_path)], call_seconds=5)
    assert prepare(tool).episodic[HIDDEN].open.mode == "legacy"  # type: ignore[attr-defined]
    with closing(ToolExecutor([tool])) as executor:
        assert ask(executor, "double", n=4).text == "8"
        assert ask(executor, "double", n=-1) == ToolResult("Error: n must not be negative", is_error=True)
        with pytest.raises(ToolFault, match="out of order.*code -32603"):
            ask(executor, "double", n=1000)
        with pytest.raises(ToolFault, match="failed calling 'double'"):
            ask(executor, "double", n=1001)
    assert processes(str(tmp_path)) == []


@services
def test_it_works_inside_a_running_event_loop(folder: Path) -> None:
    async def notebook() -> tuple[ToolResult, str]:
        with closing(stdio(folder)) as executor:
            awaited = await mcp_tools([sys.executable, SERVER, str(folder)], names=["list_files"])[0].ainvoke({})
            return ask(executor, "list_files"), awaited

    assert asyncio.run(notebook()) == (ToolResult("a.txt"), "a.txt")


def in_a_child(folder: Path, shared: bool, queue: Any) -> None:
    with closing(stdio(folder, shared=shared)) as executor:
        queue.put((ask(executor, "remember", note="child").text, ask(executor, "identify").text))


@services
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the point of the test
def test_a_child_process_has_sessions_of_its_own(folder: Path, method: str, shared: bool) -> None:
    with closing(stdio(folder, shared=shared)) as executor:
        mine = ask(executor, "identify").text
        context: Any = multiprocessing.get_context(method)
        queue = context.Queue()
        child = context.Process(target=in_a_child, args=(folder, shared, queue))
        child.start()
        note, pid = queue.get(timeout=60)
        child.join(30)
        assert child.exitcode == 0
        assert note == "child" and pid != mine
        assert ask(executor, "identify").text == mine


@services
def test_no_process_survives_one_that_is_killed(folder: Path) -> None:
    script = textwrap.dedent(f"""
        import sys, time
        from reachlab import ToolCall
        from reachlab.tools import ToolExecutor
        from reachlab.tools.mcp import mcp_tools
        tools = mcp_tools([sys.executable, {SERVER!r}, {str(folder)!r}])
        print(ToolExecutor(tools).execute([ToolCall("daemon", {{}})])[0].text, flush=True)
        time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        daemon = int(process.stdout.readline())
        assert lives(daemon) and processes(str(folder))
        process.send_signal(signal.SIGKILL)
    assert eventually_none(str(folder)) == []
    assert not lives(daemon)


@services
def test_a_process_that_ends_with_sessions_open_ends_quietly(folder: Path) -> None:
    script = textwrap.dedent(f"""
        import sys
        from reachlab import ToolCall
        from reachlab.tools import ToolExecutor
        from reachlab.tools.mcp import mcp_tools
        for shared in (False, True):
            tools = mcp_tools([sys.executable, {SERVER!r}, {str(folder)!r}], shared=shared)
            executor = ToolExecutor(tools)
            print(executor.execute([ToolCall("list_files", {{}})])[0].text)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a.txt\na.txt\n", "")


@services
def test_the_same_arguments_give_the_same_tools(folder: Path) -> None:
    spec = Spec("reachlab.tools.mcp:mcp_tools", {"command": [sys.executable, SERVER, str(folder)], "names": ["read"]})
    assert spec.build("tools")[0] is spec.build("tools")[0]
    with pytest.raises(UnknownName, match="Did you mean 'read'"):
        mcp_tools([sys.executable, SERVER, str(folder)], names=["raed"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"command": ["x"], "url": "http://x"},
        {"command": "python server.py"},
        {"command": []},
        {"url": "ftp://x"},
        {"url": "http://x", "cwd": "/"},
        {"command": ["x"], "headers": {"a": "b"}},
        {"command": ["x"], "call_seconds": 0},
        {"command": ["x"], "timeouts": "observe"},
        {"url": "http://x", "headers": {"a": "${REACHLAB_UNSET_VARIABLE}"}},
    ],
)
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises((BadValue, UnknownName), match="got .*allowed|Did you mean 'observation'"):
        mcp_tools(**options)


def test_a_command_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(ToolFault, match="there is no command 'no-such-command'"):
        mcp_tools(["no-such-command"])


def test_content_that_is_no_text_is_named_and_structure_stands_for_itself() -> None:
    types: Any = pytest.importorskip("mcp_types")
    blob = types.BlobResourceContents(uri="file:///b", blob="AAAA", mime_type="audio/x")
    blocks = [
        types.TextContent(text="text"),
        types.AudioContent(data="AAA=", mime_type="audio/wav"),
        types.ResourceLink(name="link", uri="file:///a"),
        types.EmbeddedResource(resource=types.TextResourceContents(uri="file:///t", text="inner")),
        types.EmbeddedResource(resource=blob),
    ]
    told = rendered(types.CallToolResult(content=blocks, structured_content={"a": 1})).splitlines()
    assert told[:4] == ["text", "[audio: audio/wav, 2 bytes]", "[resource: link, file:///a]", "inner"]
    assert told[4:] == ["[resource: file:///b, audio/x, 3 bytes]"]
    assert rendered(types.CallToolResult(content=[], structured_content={"é": [1]})) == '{"é": [1]}'
    assert rendered(types.CallToolResult(content=[])) == ""


def test_secrets_come_from_the_environment_and_stay_out_of_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REACHLAB_TEST_TOKEN", "s3cret")
    assert filled((("Authorization", "Bearer ${REACHLAB_TEST_TOKEN}$$"),)) == {"Authorization": "Bearer s3cret$"}
    with pytest.raises(BadValue, match="'Authorization'.*got .*OTHER") as refused:
        filled((("Authorization", "s3cret ${OTHER_UNSET}"),))
    assert "s3cret" not in str(refused.value)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(sdk_module, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'reachlab\[mcp\]'"):
        mcp_tools(["anything"])
