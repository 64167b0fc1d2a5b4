"""A small MCP server over one folder, for ``../mcp_tools.py``: it lists files and reads them, and nothing else.

Command: ``python examples/servers/folder.py FOLDER`` speaks MCP on its standard streams; any client can use it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("folder", log_level="ERROR")
FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()


@server.tool(structured_output=False)
def list_files() -> str:
    """The names of the files in the folder."""
    return "\n".join(sorted(path.name for path in FOLDER.iterdir() if path.is_file()))


@server.tool(structured_output=False)
def read_file(name: str) -> str:
    """The text of a file in the folder."""
    path = (FOLDER / name).resolve()
    if path.parent != FOLDER or not path.is_file():
        raise ToolError(f"there is no file {name!r}")
    return path.read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    server.run("stdio")
