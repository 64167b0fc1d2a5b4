"""Whole episodes over a real MCP server, world by world: what is answered, what is not, and nothing left running."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool

from reachlab import Budget, Message, StopReason, Task, World
from reachlab.envs.core import Interaction
from reachlab.envs.verifiers import Exact
from reachlab.tools.mcp import mcp_tools
from tests.tools.servers.counting import eventually_none, processes

pytest.importorskip("mcp")
pytestmark = pytest.mark.services

SERVER = str(Path(__file__).parent / "servers" / "files.py")
LIST = '<tool_call>{"name": "list_files", "arguments": {}}</tool_call>'
READ = '<tool_call>{"name": "read", "arguments": {"name": "code.txt"}}</tool_call>'
MALFORMED = '<tool_call>{"name": "read", "arguments": {"file": "code.txt"}}</tool_call>'
CODES = ("4812", "9071")


@dataclass(frozen=True)
class Folders:
    """Two tasks, each with a folder of its own; each is the donor of the other."""

    root: Path
    options: tuple[tuple[str, Any], ...] = ()
    budget: Budget = Budget(turns=6, calls=8)

    def task(self, index: int) -> Task:
        ask = (Message("user", "Which code?"),)
        return Task(str(index), ask, (CODES[index],), Exact(), "", (), index, "test")

    def donor(self, task: Task) -> Task:
        return self.task(1 - task.seed)

    def tools(self, task: Task) -> list[BaseTool]:
        return mcp_tools([sys.executable, SERVER, str(self.root / task.id)], call_seconds=1.0, **dict(self.options))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    for index, code in enumerate(CODES):
        (tmp_path / str(index)).mkdir()
        (tmp_path / str(index) / "code.txt").write_text(code)
    yield tmp_path
    assert eventually_none(str(tmp_path)) == []


def begun(root: Path, world: World, **options: Any) -> Interaction:
    family: Any = Folders(root, tuple(options.items()))
    return Interaction(family, family.task(0), world)


@pytest.mark.parametrize(
    ("world", "listed", "read", "reward"),
    [(World.LIVE, "code.txt", "4812", 1.0), (World.SILENT, "", "", 0.0), (World.SHUFFLED, "code.txt", "9071", 0.0)],
)
def test_an_episode_of_each_world(root: Path, world: World, listed: str, read: str, reward: float) -> None:
    episode = begun(root, world)
    assert [schema["function"]["name"] for schema in episode.prompt.tools][:2] == ["list_files", "read"]
    told = [result.text for result in episode.step(LIST + MALFORMED + READ).results]
    assert told[1].startswith("Error: read: arguments: 'name' is a required property"), "the true error in every world"
    assert (told[0], told[2]) == (listed, read)
    own = [line for line in processes(str(root)) if "supervise" not in line]
    assert len(own) == (0 if world is World.SILENT else 1), "silent starts nothing"
    last = episode.step(read or "0000")
    assert (last.stop, last.reward) == (StopReason.ANSWERED, reward)
    assert processes(str(root)) == [], "the end of the episode is the end of the process"


@pytest.mark.parametrize("name", ["die", "hang"])
def test_a_server_that_dies_or_hangs_faults_the_episode_and_nothing_is_left(root: Path, name: str) -> None:
    episode = begun(root, World.LIVE)
    assert episode.step(READ).results[0].text == "4812"
    last = episode.step(f'<tool_call>{{"name": "{name}", "arguments": {{}}}}</tool_call>')
    assert last.stop is StopReason.FAULT and last.reward == 0 and f"failed calling '{name}'" in last.detail
    assert processes(str(root)) == []
    assert [m.content for m in episode.messages if m.role == "tool"] == ["4812"], "what came before is kept"


def test_where_timeouts_are_observations_the_episode_goes_on(root: Path) -> None:
    episode = begun(root, World.LIVE, timeouts="observation")
    (late,) = episode.step('<tool_call>{"name": "hang", "arguments": {}}</tool_call>').results
    assert late.is_error and late.text == "Error: stopped after 1 s"
    assert episode.step(READ).results[0].text == "4812"
    assert episode.step("4812").reward == 1.0
