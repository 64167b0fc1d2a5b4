"""The tools of an MCP server in an episode: a process of its own, opened by the first call, ended with the episode.

Command: ``python examples/mcp_tools.py`` (extra ``mcp``). The server is ``servers/folder.py``; any other works:
``mcp_tools(command=["npx", "..."])``, ``mcp_tools(url="https://...")``.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from reachlab.tools import Hermes, ToolExecutor
from reachlab.tools.mcp import mcp_tools

SERVER = Path(__file__).parent / "servers" / "folder.py"
TURNS = (
    '<tool_call>{"name": "list_files", "arguments": {}}</tool_call>',
    '<tool_call>{"name": "read_file", "arguments": {"name": "code.txt"}}</tool_call>',
    '<tool_call>{"name": "read_file", "arguments": {"name": "../secret"}}</tool_call>',
    '<tool_call>{"name": "read_file", "arguments": {"file": "code.txt"}}</tool_call>',
)


def main() -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "code.txt").write_text("The code is 4812.")
        tools = mcp_tools(command=[sys.executable, str(SERVER), folder])
        print("offered:", [tool.name for tool in tools])
        with closing(ToolExecutor(tools)) as episode:
            for turn in TURNS:
                for result in episode.execute(Hermes().parse(turn)):
                    print("error" if result.is_error else "told ", result.text)


if __name__ == "__main__":
    main()
